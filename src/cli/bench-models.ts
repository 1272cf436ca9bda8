import { statfsSync } from 'node:fs';
import path from 'node:path';
import { EngineFailure } from '../engine/index.ts';
import { planLayers, type LayerChoice, type OpenedModel, type SweepModel } from '../measure/index.ts';
import {
  isModelFile,
  modelFrom,
  readGgufSummary,
  webAccessOf,
  type CacheLease,
  type SyntheticCache,
} from '../model/host/index.ts';
import { isEngineArchitecture, type MixName, type ModelShape } from '../model/index.ts';
import { bytes, type Bytes } from '../units/index.ts';
import { openCache } from './cache.ts';
import type { CliContext } from './context.ts';
import { knownModels } from './known-models.ts';
import { warnOfOtherTypes } from './other-types.ts';
import { startByteProgress } from './progress.ts';
import { syntheticFacts } from './synthetic-facts.ts';

export interface ModelOptions {
  readonly layers: LayerChoice;
  /** Of this machine; null is unknown. */
  readonly lastLevelCacheBytes: Bytes | null;
  /** What weights may take on the engine's device, asked when a model's turn comes; null is unknown. */
  readonly memoryBytes: () => Bytes | null;
  /** llama.cpp's own builds know architectures of their own; ours is pinned. */
  readonly knowsArchitecture: (name: string) => boolean;
}

/**
 * What a MODEL argument means. Names are resolved at once, so that a typing error ends the command before anything is
 * measured; files are looked at when their turn comes, and what is wrong with one is the outcome of its points.
 */
export async function sweepModel(
  text: string,
  options: ModelOptions,
  context: CliContext,
): Promise<SweepModel> {
  if (isModelFile(text)) return fileModel(text, options);
  const named = await modelFrom(text, {
    records: knownModels(context),
    access: webAccessOf(process.env, context.signal),
  });
  warnOfOtherTypes(named, context);
  return syntheticModel(text, named.shape, named.mix, options, context);
}

async function fileModel(file: string, options: ModelOptions): Promise<SweepModel> {
  const facts: SweepModel['facts'] = {
    source: 'file',
    name: file,
    file,
    architecture: null,
    quantisation: null,
    shapeHash: null,
    description: null,
    sizeBytes: null,
    parameters: null,
    layers: null,
  };
  try {
    const summary = await readGgufSummary(file);
    const { architecture, layers, parameters, tensorBytes, mix } = summary;
    return {
      facts: { ...facts, architecture, layers, parameters, sizeBytes: tensorBytes, quantisation: mix },
      open: async (): Promise<OpenedModel> => {
        if (architecture !== null && !options.knowsArchitecture(architecture)) {
          throw new EngineFailure(
            'unsupported',
            `${file} is of the architecture "${architecture}", which this llama.cpp does not know; measure it with a build that does: --engine llama-bench:/path/to/llama-bench.`,
          );
        }
        return {
          files: [{ path: file, bytes: summary.fileBytes, layers: null }],
          warnings: [],
          release: () => undefined,
        };
      },
    };
  } catch (error) {
    return { facts, open: () => Promise.reject(error) };
  }
}

function syntheticModel(
  name: string,
  shape: ModelShape,
  mix: MixName,
  options: ModelOptions,
  context: CliContext,
): SweepModel {
  const open = async (signal: AbortSignal): Promise<OpenedModel> => {
    const cache = await openCache(context);
    const plan = planLayers(shape, mix, options.layers, {
      memoryBytes: options.memoryBytes(),
      diskBytes: await usableDisk(cache),
      lastLevelCacheBytes: options.lastLevelCacheBytes,
    });
    const leases: CacheLease[] = [];
    const release = async (): Promise<void> => {
      for (const lease of leases) await lease.release();
    };
    try {
      for (const layers of plan.samples) {
        const progress = startByteProgress(`${name}, ${layers.length} of ${shape.layers} layers`, context);
        try {
          const onProgress = (at: { writtenBytes: Bytes; totalBytes: Bytes }): void =>
            progress.update(at.writtenBytes, at.totalBytes);
          leases.push(await cache.ensure({ shape, mix, layers }, { signal, onProgress }));
        } finally {
          progress.stop();
        }
      }
    } catch (error) {
      await release();
      throw error;
    }
    const files = leases.map((lease, index) => ({
      path: lease.path,
      bytes: lease.bytes,
      layers: plan.samples[index] ?? [],
    }));
    return { files, warnings: plan.warnings, release };
  };
  return {
    facts: syntheticFacts(name, shape, mix),
    open,
  };
}

/** What is free where the cache lies, with what it holds and would evict; null where the system does not tell. */
async function usableDisk(cache: SyntheticCache): Promise<Bytes | null> {
  try {
    const { bavail, bsize } = statfsSync(cache.directory);
    const held = (await cache.list()).reduce((sum, file) => sum + file.bytes, 0);
    return bytes(bavail * bsize + held);
  } catch {
    // Writing the file will say what is wrong with the folder, in its own words.
    return null;
  }
}

/** The architectures of the embedded release; a llama-bench of the user's judges by itself. */
export const architecturesOf = (embedded: boolean): ((name: string) => boolean) =>
  embedded ? isEngineArchitecture : () => true;

/** The name of a file or a catalogue name, short enough for a line. */
export const shortName = (text: string): string => (isModelFile(text) ? path.basename(text) : text);
