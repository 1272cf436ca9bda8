import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CACHE_TYPES, isCacheType, type CacheType, type ContextMemory } from '../engine/index.ts';
import { writeSparse } from '../model/host/index.ts';
import type { ContextMemorySettings, MixName, ModelShape, Placement } from '../model/index.ts';
import { formatBytes } from '../units/index.ts';
import { chooseEngine } from './bench-engine.ts';
import type { CliContext } from './context.ts';
import { CommandFailure } from './exit.ts';
import { printTable } from './output.ts';

/** The engine's own account, and which engine gave it. */
export interface EngineAccount extends ContextMemory {
  readonly engineId: string;
}

/**
 * Lets llama.cpp lay out the model on this machine's devices, from a file whose weights are a hole.
 * @throws CommandFailure when it refuses the settings, EngineFailure when it cannot be asked.
 */
export async function askEngine(
  shape: ModelShape,
  mix: MixName,
  settings: ContextMemorySettings,
  placement: Placement,
  context: CliContext,
): Promise<EngineAccount> {
  const { embedded } = await chooseEngine({ kind: 'embedded' }, null, context);
  if (embedded === null)
    throw new CommandFailure('--exact needs the embedded engine; install ridgepoint again.');
  const file = path.join(tmpdir(), `ridgepoint-fit-${randomUUID()}.gguf`);
  try {
    await writeSparse({ shape, mix }, file);
    const [outcome] = await embedded.planMemory(
      {
        modelPath: file,
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
    return { engineId: embedded.id, ...outcome };
  } finally {
    await rm(file, { force: true });
  }
}

function engineCacheType(type: ContextMemorySettings['cacheTypeK']): CacheType {
  const name = type.toLowerCase();
  if (isCacheType(name)) return name;
  throw new CommandFailure(
    `--exact does not know the cache type ${name}; it knows ${Object.keys(CACHE_TYPES).join(', ')}.`,
  );
}

export function printEngine(account: EngineAccount, context: CliContext): void {
  context.stdout(`\nWhat ${account.engineId} would allocate on this machine:`);
  printTable(
    context,
    [
      { title: 'buffer' },
      { title: 'weights', align: 'right' },
      { title: 'KV cache and state', align: 'right' },
      { title: 'compute', align: 'right' },
    ],
    account.buffers.map(({ name, modelBytes, contextBytes, computeBytes }) => [
      name,
      formatBytes(modelBytes),
      formatBytes(contextBytes),
      formatBytes(computeBytes),
    ]),
  );
}
