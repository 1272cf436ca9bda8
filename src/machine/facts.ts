import { z } from 'zod';
import { bytes, hertz, watts } from '../units/index.ts';

/** Longest source or reason that is read back; ours have fewer than 1000 characters. */
const MAX_TEXT = 4000;
/** No machine has more GPUs than this: the largest systems of 2026 hold 16 in one box. */
const MAX_GPUS = 64;

const text = z.string().max(MAX_TEXT);
/** The schema of a fact whose value has the given one. */
export const factSchema = <T extends z.ZodType>(value: T) =>
  z.discriminatedUnion('known', [
    z.object({ known: z.literal(true), value, source: text }),
    z.object({ known: z.literal(false), reason: text, source: text }),
  ]);

const count = z.number().int().nonnegative();
const byteCount = z.number().nonnegative().transform(bytes);
const textFact = factSchema(text);
const countFact = factSchema(count);
export const bytesFactSchema = factSchema(byteCount);
const hertzFact = factSchema(z.number().nonnegative().transform(hertz));
const wattsFact = factSchema(z.number().nonnegative().transform(watts));
const flagFact = factSchema(z.boolean());

/** Instruction sets that ggml's CPU backend chooses its kernels by. */
const CPU_FEATURES = [
  'sse4_2',
  'avx',
  'avx2',
  'fma',
  'f16c',
  'avx_vnni',
  'avx512f',
  'avx512_vbmi',
  'avx512_vnni',
  'avx512_bf16',
  'amx_tile',
  'amx_int8',
  'amx_bf16',
  'neon',
  'fp16',
  'dotprod',
  'i8mm',
  'bf16',
  'sve',
  'sve2',
  'sme',
] as const;
export type CpuFeature = (typeof CPU_FEATURES)[number];

const gpuSchema = z.object({
  name: textFact,
  /** `amd`, `nvidia`, `intel`, `apple`, or the PCI id of another vendor. */
  vendor: textFact,
  /** PCI vendor and device, `1002:1586`. */
  pciId: textFact,
  /** Domain, bus, device and function: `0000:c4:00.0`. */
  pciAddress: textFact,
  /** Whether it computes in the memory of the processor. */
  integrated: flagFact,
  driver: textFact,
  driverVersion: textFact,
  /** Memory of its own; on an integrated GPU the carve-out. */
  memoryTotalBytes: bytesFactSchema,
  /** The part of its memory that the processor can address: all of it with resizable BAR. */
  visibleMemoryBytes: bytesFactSchema,
  /** System memory that the driver may map for the GPU (GTT). */
  gttTotalBytes: bytesFactSchema,
  pcieTransfersPerSecond: factSchema(z.number().nonnegative()),
  pcieLanes: countFact,
  coreCount: countFact,
  computeCapability: textFact,
  maxClockHertz: hertzFact,
  maxMemoryClockHertz: hertzFact,
  powerLimitWatts: wattsFact,
  performanceLevel: textFact,
  /** Versions of the microcode that the driver loaded, such as `mes 0x00000083`. */
  firmware: textFact,
  vbios: textFact,
});
export type Gpu = z.infer<typeof gpuSchema>;

const vulkanDeviceSchema = z.object({
  name: text,
  /** `integrated-gpu`, `discrete-gpu`, `virtual-gpu`, `cpu` or `other`. */
  type: text,
  /** PCI vendor and device, `1002:1586`; software devices have numbers of their own. */
  id: text,
  driverName: textFact,
  driverInfo: textFact,
  apiVersion: textFact,
});
export type VulkanDevice = z.infer<typeof vulkanDeviceSchema>;

/** A device as the engine itself lists it; the caller asks the engine. */
const engineDeviceSchema = z.object({
  name: text,
  description: text,
  backend: text,
  type: text,
  memoryTotalBytes: bytesFactSchema,
  memoryFreeBytes: bytesFactSchema,
});
export type EngineDevice = z.infer<typeof engineDeviceSchema>;

/** Everything that is known of a machine. */
export const machineFactsSchema = z.object({
  schemaVersion: z.literal(1),
  kind: z.literal('ridgepoint-machine'),
  system: z.object({ vendor: textFact, product: textFact, platform: text, architecture: text }),
  /** `translated`: x86 code runs through Rosetta 2. */
  os: z.object({ name: textFact, kernel: textFact, translated: flagFact }),
  cpu: z.object({
    model: textFact,
    vendor: textFact,
    sockets: countFact,
    physicalCores: countFact,
    logicalCores: countFact,
    performanceCores: countFact,
    efficiencyCores: countFact,
    /** What llama.cpp takes as its default number of threads. */
    engineDefaultThreads: countFact,
    features: factSchema(z.array(z.enum(CPU_FEATURES))),
    /** Caches of the whole machine, all instances together. */
    l1dTotalBytes: bytesFactSchema,
    l2TotalBytes: bytesFactSchema,
    l3TotalBytes: bytesFactSchema,
    maxFrequencyHertz: hertzFact,
    governor: textFact,
    energyPreference: textFact,
    scalingDriver: textFact,
    boost: flagFact,
    microcode: textFact,
  }),
  memory: z.object({
    totalBytes: bytesFactSchema,
    availableBytes: bytesFactSchema,
    swapTotalBytes: bytesFactSchema,
    swapFreeBytes: bytesFactSchema,
    installedBytes: bytesFactSchema,
    type: textFact,
    transfersPerSecond: factSchema(z.number().nonnegative()),
    modules: countFact,
    channels: countFact,
    numaNodes: countFact,
  }),
  gpus: factSchema(z.array(gpuSchema).max(MAX_GPUS)),
  vulkan: z.object({ version: textFact, devices: factSchema(z.array(vulkanDeviceSchema).max(MAX_GPUS)) }),
  engineDevices: factSchema(z.array(engineDeviceSchema).max(MAX_GPUS)),
  /** Memory that processor and GPU share. */
  unifiedMemory: z.object({
    unified: flagFact,
    carveOutBytes: bytesFactSchema,
    gttLimitBytes: bytesFactSchema,
    ttmPagesLimitBytes: bytesFactSchema,
    gttSizeParameterBytes: bytesFactSchema,
    wiredLimitBytes: bytesFactSchema,
    gpuUsableBytes: bytesFactSchema,
  }),
  drivers: z.object({ amdgpu: textFact, nvidia: textFact, mesa: textFact }),
  firmware: z.object({ vendor: textFact, version: textFact, date: textFact }),
  power: z.object({
    platformProfile: textFact,
    powerProfile: textFact,
    tunedProfile: textFact,
    scheme: textFact,
    lowPowerMode: flagFact,
    /** `mains` or `battery`. */
    supply: textFact,
  }),
  limits: z.object({
    hypervisor: textFact,
    container: textFact,
    allowedLogicalCpus: countFact,
    /** Processors' worth of time that the control group may use. */
    cpuQuota: factSchema(z.union([z.number().positive(), z.literal('unlimited')])),
    memoryLimitBytes: factSchema(z.union([byteCount, z.literal('unlimited')])),
  }),
  tuning: z.object({
    transparentHugePages: textFact,
    numaBalancing: textFact,
    swappiness: textFact,
    /** `off`, `passthrough` or `translated`. */
    iommu: textFact,
    kernelParameters: textFact,
    amdgpuParameters: factSchema(z.record(text, text)),
    ttmPagePoolSize: textFact,
  }),
  environment: z.record(text, z.string().max(10_000)),
});
export type MachineFacts = z.infer<typeof machineFactsSchema>;
