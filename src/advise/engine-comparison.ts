import type { BufferMemory, ContextMemory } from '../engine/index.ts';
import type { MemoryBreakdown, MemoryKind } from '../model/index.ts';
import { bytes, type Bytes } from '../units/index.ts';

/** What the engine tells apart in each of its buffers. The logits for the caller are in none of them. */
type ComparedKind = 'weights' | 'cache-and-state' | 'compute';

/** The same bytes as they were computed and as the engine would allocate them. */
export interface ComparedFigure {
  readonly kind: ComparedKind;
  /** Which GPU, counted from 0; null: the system's memory. */
  readonly gpu: number | null;
  readonly computedBytes: Bytes;
  readonly engineBytes: Bytes;
  /** Positive: the engine takes more. */
  readonly differenceBytes: number;
}

/** A computed breakdown held against the engine's account of the same layout. */
export interface EngineComparison {
  readonly isEqual: boolean;
  readonly figures: readonly ComparedFigure[];
}

const COMPARED: readonly {
  readonly kind: ComparedKind;
  readonly lines: readonly MemoryKind[];
  readonly engine: Extract<keyof BufferMemory, `${string}Bytes`>;
}[] = [
  { kind: 'weights', lines: ['weights'], engine: 'modelBytes' },
  { kind: 'cache-and-state', lines: ['kv-cache', 'recurrent-state'], engine: 'contextBytes' },
  { kind: 'compute', lines: ['compute'], engine: 'computeBytes' },
];

/** Compares by kind and place; what neither has anything of is left out. */
export function compareWithEngine({ buffers }: ContextMemory, computed: MemoryBreakdown): EngineComparison {
  const ofGpus = gpuBuffers(buffers);
  const gpus = Math.max(computed.eachDeviceBytes.length, ...[...ofGpus.keys()].map((gpu) => gpu + 1));
  const places: readonly (number | null)[] = [...Array.from({ length: gpus }, (_, gpu) => gpu), null];
  const figures = places.flatMap((gpu) => {
    const here = gpu === null ? buffers.filter(isOfSystem) : (ofGpus.get(gpu) ?? []);
    return COMPARED.map(({ kind, lines, engine }): ComparedFigure => {
      const computedBytes = bytes(
        computed.lines
          .filter((line) => lines.includes(line.kind))
          .reduce((sum, line) => sum + (gpu === null ? line.hostBytes : (line.eachDeviceBytes[gpu] ?? 0)), 0),
      );
      const engineBytes = bytes(here.reduce((sum, buffer) => sum + buffer[engine], 0));
      return { kind, gpu, computedBytes, engineBytes, differenceBytes: engineBytes - computedBytes };
    }).filter(({ computedBytes, engineBytes }) => computedBytes + engineBytes > 0);
  });
  return { isEqual: figures.every(({ differenceBytes }) => differenceBytes === 0), figures };
}

/** The engine does not say of `CPU_REPACK` and the like that the processor addresses them, though it does. */
const isOfSystem = ({ name, isHost }: BufferMemory): boolean => isHost || name.startsWith('CPU');

/** By the number that ends the engine's name of a GPU (`Vulkan1`); a buffer without one is of the first. */
function gpuBuffers(buffers: readonly BufferMemory[]): Map<number, BufferMemory[]> {
  const byGpu = new Map<number, BufferMemory[]>();
  for (const buffer of buffers) {
    if (isOfSystem(buffer)) continue;
    const gpu = Number(/\d+$/.exec(buffer.name)?.[0] ?? 0);
    byGpu.set(gpu, [...(byGpu.get(gpu) ?? []), buffer]);
  }
  return byGpu;
}
