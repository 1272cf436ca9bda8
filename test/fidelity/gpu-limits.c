/*
 * Lets Vulkan's software renderer report the storage buffers and subgroups that GPUs have, so that ggml lays a model out as
 * it would on one: llvmpipe's maxStorageBufferRange is 128 MiB, that of the drivers of AMD, NVIDIA and Intel 4 GiB less
 * one byte, and ggml_backend_vk_device_supports_op (ggml/src/ggml-vulkan/ggml-vulkan.cpp) leaves larger tensors to the
 * processor; its subgroups have 4 or 8 lanes, those of GPUs 32 or 64, and DeepSeek V4's streams are combined by 16.
 * Preloaded; for layouts alone (no_alloc), in which no shader runs.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

typedef void (*function)(void);
typedef function (*get_proc)(void *instance, const char *name);
typedef void (*get_properties)(void *device, void *properties);

/* VkPhysicalDeviceProperties: five integers, a name of 256 bytes, a UUID of 16, then the limits, aligned to 8. */
enum { LIMITS = 296, MAX_STORAGE_BUFFER_RANGE = LIMITS + 7 * 4 };
/* VkPhysicalDeviceProperties2: sType and pNext come before. */
enum { PROPERTIES_OF_2 = 16 };

/* Both structures that have the size of a subgroup: VkPhysicalDeviceSubgroupProperties, VkPhysicalDeviceVulkan11Properties. */
enum { SUBGROUP_PROPERTIES = 1000094000, SUBGROUP_SIZE = 16 };
enum { VULKAN_11_PROPERTIES = 50, SUBGROUP_SIZE_OF_11 = 16 + 16 + 16 + 8 + 4 + 4 };
/* VkPhysicalDeviceSubgroupSizeControlProperties: the smallest and the largest size come first. */
enum { SIZE_CONTROL_PROPERTIES = 1000225000, LARGEST_SIZE = 16 + 4 };

/* What all structures of a chain begin with. */
struct link {
  uint32_t type;
  struct link *next;
};

static get_proc real_get_proc;
static get_properties real_properties, real_properties_2;

static void widen(char *properties) {
  uint32_t range = UINT32_MAX;
  memcpy(properties + MAX_STORAGE_BUFFER_RANGE, &range, sizeof range);
}

static void set(struct link *structure, int offset, uint32_t value) {
  memcpy((char *)structure + offset, &value, sizeof value);
}

static void widen_subgroups(struct link *each) {
  for (; each != 0; each = each->next) {
    if (each->type == SUBGROUP_PROPERTIES) set(each, SUBGROUP_SIZE, 32);
    if (each->type == VULKAN_11_PROPERTIES) set(each, SUBGROUP_SIZE_OF_11, 32);
    if (each->type == SIZE_CONTROL_PROPERTIES) set(each, LARGEST_SIZE, 32);
  }
}

static void properties(void *device, void *result) {
  real_properties(device, result);
  widen(result);
}

static void properties_2(void *device, void *result) {
  real_properties_2(device, result);
  widen((char *)result + PROPERTIES_OF_2);
  widen_subgroups(result);
}

/* vulkan.hpp asks for every function by name. */
function vkGetInstanceProcAddr(void *instance, const char *name) {
  /* By its name: the loader is no library of the program that this was loaded before. */
  if (real_get_proc == 0) {
    real_get_proc = (get_proc)dlsym(dlopen("libvulkan.so.1", RTLD_NOW), "vkGetInstanceProcAddr");
  }
  function found = real_get_proc(instance, name);
  if (found == 0) return 0;
  if (strcmp(name, "vkGetInstanceProcAddr") == 0) return (function)vkGetInstanceProcAddr;
  if (strcmp(name, "vkGetPhysicalDeviceProperties") == 0) {
    real_properties = (get_properties)found;
    return (function)properties;
  }
  if (strcmp(name, "vkGetPhysicalDeviceProperties2") == 0 ||
      strcmp(name, "vkGetPhysicalDeviceProperties2KHR") == 0) {
    real_properties_2 = (get_properties)found;
    return (function)properties_2;
  }
  return found;
}
