import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compareWithEngine, type ComparedFigure, type EngineComparison } from '../advise/index.ts';
import {
  CACHE_TYPES,
  isCacheType,
  type CacheType,
  type ContextMemory,
  type EngineDevice,
} from '../engine/index.ts';
import { writeSparse } from '../model/host/index.ts';
import {
  COMPUTE_BACKENDS,
  inTypesOfFile,
  memoryOf,
  tensorsOf,
  type ContextMemorySettings,
  type GgufHeader,
  type MixName,
  type ModelShape,
  type Placement,
} from '../model/index.ts';
import { bytes, formatBytes, KIB } from '../units/index.ts';
import { chooseEngine } from './bench-engine.ts';
import type { CliContext } from './context.ts';
import { CommandFailure } from './exit.ts';
import { printTable } from './output.ts';

/** The engine's own account, which engine gave it, and how it compares with what is computed. */
export interface EngineAccount extends ContextMemory {
  readonly engineId: string;
  /** GPUs that the engine has here; 0: it computes on the processor. */
  readonly gpus: number;
  readonly comparison: EngineComparison;
}

/** A model that llama.cpp is asked about. */
interface AskedModel {
  readonly shape: ModelShape;
  readonly mix: MixName;
  /** Its file, where it is here; null: one is made in the mix. */
  readonly file: { readonly path: string; readonly tensors: GgufHeader['tensors'] } | null;
}

/**
 * Lets llama.cpp lay out the model on this machine's devices, from its file or one whose weights are a hole, and computes
 * the same for the same devices, whatever machine was asked for.
 * @throws CommandFailure when it refuses the settings, EngineFailure when it cannot be asked.
 */
export async function askEngine(
  { shape, mix, file }: AskedModel,
  settings: ContextMemorySettings,
  wanted: Placement,
  context: CliContext,
): Promise<EngineAccount> {
  const { embedded, description, onGpu } = await chooseEngine({ kind: 'embedded' }, null, context);
  if (embedded === null)
    throw new CommandFailure('--exact needs the embedded engine; install ridgepoint again.');
  const gpus = onGpu ? gpusOf(description.devices) : [];
  const placement = placementOn(gpus, wanted);
  const sparse = path.join(tmpdir(), `ridgepoint-fit-${randomUUID()}.gguf`);
  try {
    if (file === null) await writeSparse({ shape, mix }, sparse);
    const [outcome] = await embedded.planMemory(
      {
        modelPath: file?.path ?? sparse,
        gpuLayers: placement.gpuLayers ?? -1,
        cpuMoeLayers: placement.cpuMoeLayers,
        tensorSplit: placement.deviceShares,
        contexts: [
          {
            ...settings,
            cacheTypeK: engineCacheType(settings.cacheTypeK),
            cacheTypeV: engineCacheType(settings.cacheTypeV),
            flashAttention: settings.flashAttention ? 'on' : 'off',
          },
        ],
      },
      context.signal,
    );
    if (outcome === undefined || 'refusal' in outcome) {
      throw new CommandFailure(`llama.cpp refuses these settings: ${outcome?.refusal ?? 'it said nothing'}.`);
    }
    const backend = COMPUTE_BACKENDS[gpus.length > 0 ? 'vulkan' : 'cpu'];
    const inMix = tensorsOf(shape, mix);
    const tensors = file === null ? inMix : inTypesOfFile(inMix, file.tensors);
    const computed = memoryOf({ shape, tensors }, settings, placement, backend);
    if ('unsupported' in computed) {
      throw new CommandFailure(
        `llama.cpp takes these settings, which were thought to be refused (${computed.unsupported}).`,
      );
    }
    const comparison = compareWithEngine(outcome, computed);
    return { engineId: embedded.id, gpus: gpus.length, comparison, ...outcome };
  } finally {
    await rm(sparse, { force: true });
  }
}

/** The devices that llama.cpp takes: the GPUs, or else the integrated ones (`llama_prepare_model_devices`, src/llama.cpp). */
function gpusOf(devices: readonly EngineDevice[]): readonly EngineDevice[] {
  const gpus = devices.filter(({ kind }) => kind === 'gpu');
  return gpus.length > 0 ? gpus : devices.filter(({ kind }) => kind === 'integrated-gpu');
}

/** Names the shares of several GPUs, so that both divide the layers alike; a share too many names no device here. */
function placementOn(
  gpus: readonly EngineDevice[],
  { gpuLayers, cpuMoeLayers, deviceShares }: Placement,
): Placement {
  const placement = { gpuLayers, cpuMoeLayers };
  if (gpus.length < 2) return placement;
  return {
    ...placement,
    deviceShares: gpus.map(
      ({ freeBytes, totalBytes }, device) =>
        (deviceShares === undefined ? (freeBytes ?? totalBytes) : deviceShares[device]) ?? 0,
    ),
  };
}

function engineCacheType(type: ContextMemorySettings['cacheTypeK']): CacheType {
  const name = type.toLowerCase();
  if (isCacheType(name)) return name;
  throw new CommandFailure(
    `--exact does not know the cache type ${name}; it knows ${Object.keys(CACHE_TYPES).join(', ')}.`,
  );
}

const KINDS: Readonly<Record<ComparedFigure['kind'], string>> = {
  weights: 'weights',
  'cache-and-state': 'KV cache and state',
  compute: 'compute buffers',
};

/** @param otherMachine - the one that was asked for; null: this one. */
export function printEngine(account: EngineAccount, otherMachine: string | null, context: CliContext): void {
  const { figures } = account.comparison;
  context.stdout(`\nWhat ${account.engineId} would allocate on this machine, and what is computed for it:`);
  printTable(
    context,
    [
      { title: '' },
      { title: '' },
      { title: 'computed', align: 'right' },
      { title: 'llama.cpp', align: 'right' },
      { title: 'bytes more', align: 'right' },
    ],
    figures.map((figure) => [
      KINDS[figure.kind],
      placeOf(figure, account.gpus),
      formatBytes(figure.computedBytes),
      formatBytes(figure.engineBytes),
      String(figure.differenceBytes),
    ]),
  );
  for (const each of comparisonSentences(account, otherMachine)) context.stdout(each);
}

const placeOf = ({ gpu }: Pick<ComparedFigure, 'gpu'>, gpus: number): string =>
  gpu === null ? 'system memory' : gpus > 1 ? `GPU ${gpu}` : 'GPU';

/** Whether both are the same, and of which machine that is said. */
export function comparisonSentences(
  { comparison, engineId, gpus }: Pick<EngineAccount, 'comparison' | 'engineId' | 'gpus'>,
  otherMachine: string | null,
): string[] {
  const differing = comparison.figures.filter(({ differenceBytes }) => differenceBytes !== 0);
  const texts = differing.map((figure) => {
    const size = Math.abs(figure.differenceBytes);
    const more = figure.differenceBytes > 0 ? 'more' : 'less';
    const inUnits = size < KIB ? '' : ` (${formatBytes(bytes(size))})`;
    return `${size} bytes${inUnits} ${more} for ${KINDS[figure.kind]}, ${placeOf(figure, gpus)}`;
  });
  const device = gpus === 0 ? 'the processor' : gpus === 1 ? 'the GPU' : `${gpus} GPUs`;
  return [
    comparison.isEqual ? 'Both are equal to the byte.' : `They differ: llama.cpp takes ${texts.join('; ')}.`,
    ...(otherMachine === null
      ? []
      : [
          `This is the answer of ${engineId} for ${device} of this machine, not of ${otherMachine}, which it cannot see.`,
        ]),
  ];
}
