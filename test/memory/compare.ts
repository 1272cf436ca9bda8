import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ContextMemory, ContextOutcome, ContextSettings } from '../../src/engine/index.ts';
import { openEmbeddedEngine } from '../../src/engine/host/index.ts';
import { writeSparse } from '../../src/model/host/index.ts';
import {
  COMPUTE_BACKENDS,
  memoryOf,
  ON_DEVICE,
  tensorsOf,
  type KvCacheType,
  type MemoryBreakdown,
  type MixName,
  type ModelShape,
  type Unsupported,
} from '../../src/model/index.ts';

/** What the engine says of a context, and what is computed here. */
export interface Comparison {
  readonly settings: ContextSettings;
  readonly engine: ContextOutcome;
  readonly computed: MemoryBreakdown | Unsupported;
}

/** The cache types of {@link contextsOf}, as the engine and as the model spell them. */
const CACHE_TYPES = { f16: 'F16', q8_0: 'Q8_0' } as const satisfies Record<string, KvCacheType>;

/** Every combination that the project promises to account for: 48 of a model. */
export function contextsOf(maximumTokens: number): ContextSettings[] {
  const lengths = [...new Set([4096, 32_768, maximumTokens])];
  return lengths.flatMap((contextTokens) =>
    (['f16', 'q8_0'] as const).flatMap((cacheType) =>
      [512, 2048].flatMap((ubatchTokens) =>
        (['on', 'off'] as const).flatMap((flashAttention) =>
          [1, 4].map((sequences) => ({
            contextTokens,
            sequences,
            unifiedCache: false,
            batchTokens: 2048,
            ubatchTokens,
            cacheTypeK: cacheType,
            cacheTypeV: cacheType,
            flashAttention,
          })),
        ),
      ),
    ),
  );
}

/** Asks the engine for its account of a synthetic model whose weights are a hole, and computes the same. */
export async function compareMemory(
  shape: ModelShape,
  mix: MixName,
  variant: 'cpu' | 'vulkan',
  contexts: readonly ContextSettings[],
): Promise<Comparison[]> {
  const file = path.join(tmpdir(), `ridgepoint-memory-${randomUUID()}.gguf`);
  const engine = openEmbeddedEngine({ variant });
  try {
    await writeSparse({ shape, mix }, file);
    const outcomes = await engine.planMemory({ modelPath: file, gpuLayers: -1, cpuMoeLayers: 0, contexts });
    return compareOutcomes(shape, mix, variant, contexts, outcomes);
  } finally {
    await rm(file, { force: true });
  }
}

/** Computes the same as the engine said of each context. */
export function compareOutcomes(
  shape: ModelShape,
  mix: MixName,
  variant: 'cpu' | 'vulkan',
  contexts: readonly ContextSettings[],
  outcomes: readonly ContextOutcome[],
): Comparison[] {
  const tensors = tensorsOf(shape, mix);
  return outcomes.flatMap((outcome, index) => {
    const settings = contexts[index];
    if (settings === undefined) return [];
    const computed = memoryOf(
      { shape, tensors },
      {
        ...settings,
        cacheTypeK: cacheTypeOf(settings.cacheTypeK),
        cacheTypeV: cacheTypeOf(settings.cacheTypeV),
        flashAttention: settings.flashAttention !== 'off',
      },
      ON_DEVICE,
      COMPUTE_BACKENDS[variant],
    );
    return [{ settings, engine: outcome, computed }];
  });
}

function cacheTypeOf(type: ContextSettings['cacheTypeK']): KvCacheType {
  if (type === 'f16' || type === 'q8_0') return CACHE_TYPES[type];
  throw new RangeError(`${type} is not compared`);
}

/** One figure of both. */
export interface Figure {
  readonly engineBytes: number;
  readonly computedBytes: number;
}

/** The figures of a context that neither refuses. */
export interface Figures {
  readonly weights: Figure;
  readonly state: Figure;
  /** Of the device and of the processor's part; one of them where they are the same. */
  readonly compute: readonly Figure[];
}

export function figuresOf(engine: ContextMemory, computed: MemoryBreakdown): Figures {
  const sum = (key: 'modelBytes' | 'contextBytes'): number =>
    engine.buffers.reduce((total, buffer) => total + buffer[key], 0);
  const computeAt = (isHost: boolean): number =>
    engine.buffers.reduce((total, buffer) => total + (buffer.isHost === isHost ? buffer.computeBytes : 0), 0);
  const line = (kind: string): { deviceBytes: number; hostBytes: number } => {
    const found = computed.lines.find((each) => each.kind === kind);
    if (found === undefined) throw new RangeError(`no line of ${kind}`);
    return found;
  };
  const both = (kind: string): number => line(kind).deviceBytes + line(kind).hostBytes;
  const compute = line('compute');
  return {
    weights: { engineBytes: sum('modelBytes'), computedBytes: both('weights') },
    state: {
      engineBytes: sum('contextBytes'),
      computedBytes: both('kv-cache') + both('recurrent-state'),
    },
    compute: [
      { engineBytes: computeAt(true), computedBytes: compute.hostBytes },
      { engineBytes: computeAt(false), computedBytes: compute.deviceBytes },
    ].filter(({ engineBytes, computedBytes }) => engineBytes + computedBytes > 0),
  };
}

/** In what a comparison breaks the promises of docs/memory.md; empty: in nothing. */
export function disagreements({ engine, computed }: Comparison): string[] {
  if ('refusal' in engine || 'unsupported' in computed) {
    const theirs = 'refusal' in engine ? engine.refusal : 'accepted';
    const ours = 'unsupported' in computed ? computed.unsupported : 'accepted';
    return theirs === ours ? [] : [`the engine says "${theirs}", we say "${ours}"`];
  }
  const { weights, state, compute } = figuresOf(engine, computed);
  const figures = [
    ['weights', weights],
    ['state', state],
    ...compute.map((each) => ['compute buffer', each] as const),
  ] as const;
  return figures.flatMap(([name, { engineBytes, computedBytes }]) =>
    engineBytes === computedBytes ? [] : [`${name}: ${engineBytes} of the engine, ${computedBytes} here`],
  );
}
