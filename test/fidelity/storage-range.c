/*
 * Lets Vulkan's software renderer report the storage buffers that GPUs have, so that ggml lays a model out as it would
 * on one: llvmpipe's maxStorageBufferRange is 128 MiB, that of the drivers of AMD, NVIDIA and Intel 4 GiB less one byte,
 * and ggml_backend_vk_device_supports_op (ggml/src/ggml-vulkan/ggml-vulkan.cpp) leaves larger tensors to the processor.
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

static get_proc real_get_proc;
static get_properties real_properties, real_properties_2;

static void widen(char *properties) {
  uint32_t range = UINT32_MAX;
  memcpy(properties + MAX_STORAGE_BUFFER_RANGE, &range, sizeof range);
}

static void properties(void *device, void *result) {
  real_properties(device, result);
  widen(result);
}

static void properties_2(void *device, void *result) {
  real_properties_2(device, result);
  widen((char *)result + PROPERTIES_OF_2);
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
