import path from 'node:path';
import koffi from 'koffi';
import type { EngineDevice } from '../engine.ts';
import type { WorkerAnswer } from '../protocol.ts';
import { bytes, nanoseconds } from '../../units/index.ts';
import { ENGINE_RELEASE, type Library, type Pointer } from './bindings.ts';

/** ggml-backend.h, enum ggml_backend_dev_type. */
const DEVICE_KINDS: readonly EngineDevice['kind'][] = ['cpu', 'gpu', 'integrated-gpu', 'accelerator'];

/** Says what the opened library is and which devices its backends see, in llama-bench's terms. */
export function describeLibrary(library: Library): WorkerAnswer<'describe'> {
  const devices = listDevices(library);
  const describe = (kinds: readonly EngineDevice['kind'][]): string =>
    devices
      .filter((device) => kinds.includes(device.kind))
      .map((device) => device.description)
      .join(', ');
  return {
    version: ENGINE_RELEASE,
    ...buildOf(library),
    backends: backendNames(library),
    cpuInfo: describe(['cpu', 'accelerator']),
    gpuInfo: describe(['gpu', 'integrated-gpu']),
    devices,
    ruler: measureRuler(library),
  };
}

/** A device of the engine by its place in the engine's list. */
export function deviceAt(library: Library, index: number): Pointer {
  return library.registry('void *ggml_backend_dev_get(size_t index)')(index) as Pointer;
}

function listDevices(library: Library): EngineDevice[] {
  const count = Number(library.registry('size_t ggml_backend_dev_count()')());
  return Array.from({ length: count }, (_, index) => {
    const device = deviceAt(library, index);
    const free = new BigUint64Array(1);
    const total = new BigUint64Array(1);
    library.ggml('void ggml_backend_dev_memory(void *device, void *free, void *total)')(device, free, total);
    const kind = Number(library.ggml('int ggml_backend_dev_type(void *device)')(device));
    const size = (value: bigint | undefined): EngineDevice['totalBytes'] =>
      value === undefined || value === 0n ? null : bytes(Number(value));
    return {
      name: String(library.ggml('const char *ggml_backend_dev_name(void *device)')(device)),
      description: String(library.ggml('const char *ggml_backend_dev_description(void *device)')(device)),
      kind: DEVICE_KINDS[kind] ?? 'unknown',
      totalBytes: size(total[0]),
      freeBytes: size(free[0]),
    };
  });
}

/** llama-bench's `backends`: every registered backend but the CPU's, or `CPU` when there is no other. */
function backendNames(library: Library): string {
  const count = Number(library.registry('size_t ggml_backend_reg_count()')());
  const names = Array.from({ length: count }, (_, index) => {
    const entry = library.registry('void *ggml_backend_reg_get(size_t index)')(index);
    return String(library.ggml('const char *ggml_backend_reg_name(void *reg)')(entry));
  }).filter((name) => name !== 'CPU');
  return names.length === 0 ? 'CPU' : names.join(',');
}

/** A build that knows neither its commit nor its number; llama-bench prints this word for the commit. */
const UNKNOWN_BUILD = { buildCommit: 'unknown', buildNumber: null };

/** The commit and number that the library was built with, which only its C++ part tells (build-info.cpp). */
function buildOf(library: Library): { buildCommit: string; buildNumber: number | null } {
  try {
    const common = koffi.load(path.join(library.directory, 'libllama-common.so'));
    return {
      buildCommit: String(common.func('const char *_Z12llama_commitv()')()),
      buildNumber: Number(common.func('int _Z18llama_build_numberv()')()),
    };
  } catch {
    // Only builds with these very symbols can tell; the pinned version identifies the others.
    return UNKNOWN_BUILD;
  }
}

const RULER_ROUNDS = 2000;

/** The smallest step of the clock, and the cost of one call into the library with the clock read around it. */
function measureRuler(library: Library): WorkerAnswer<'describe'>['ruler'] {
  let resolution = Number.POSITIVE_INFINITY;
  for (let round = 0; round < RULER_ROUNDS; round += 1) {
    const start = process.hrtime.bigint();
    let now = process.hrtime.bigint();
    while (now === start) now = process.hrtime.bigint();
    resolution = Math.min(resolution, Number(now - start));
  }
  const call = library.llama('size_t llama_max_devices()');
  const start = process.hrtime.bigint();
  for (let round = 0; round < RULER_ROUNDS; round += 1) call();
  const overhead = Number(process.hrtime.bigint() - start) / RULER_ROUNDS;
  return {
    timerResolutionNanoseconds: nanoseconds(resolution),
    callOverheadNanoseconds: nanoseconds(overhead),
  };
}
