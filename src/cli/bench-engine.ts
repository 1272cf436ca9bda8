import {
  embeddedVariants,
  openEmbeddedEngine,
  openLlamaBenchEngine,
  type EmbeddedEngine,
} from '../engine/host/index.ts';
import { EngineFailure, type Engine, type EngineDescription } from '../engine/index.ts';
import { bytes, type Bytes } from '../units/index.ts';
import { enginesDirectory, type CliContext } from './context.ts';
import type { Backend, EngineChoice } from './engine-options.ts';

/** The engine that a command measures with, and what it says of itself. */
export interface ChosenEngine {
  readonly engine: Engine;
  readonly description: EngineDescription;
  /** The same engine when it is embedded: only that one can time single products. */
  readonly embedded: EmbeddedEngine | null;
  /** Whether a GPU computes. */
  readonly onGpu: boolean;
}

/** Variants that compute on a GPU, the fastest first where several see the same one. */
const GPU_VARIANTS: readonly Backend[] = ['cuda', 'metal', 'vulkan'];
/** Vulkan drivers that compute on the CPU: real, slow, and not what anybody means by a GPU. */
const SOFTWARE_RENDERER = /llvmpipe|lavapipe|swiftshader/i;

/**
 * Opens the engine that was asked for: a llama-bench of the user's, a variant by name, or the best embedded one that
 * sees a real GPU, else the CPU.
 * @throws EngineFailure
 */
export async function chooseEngine(
  choice: EngineChoice,
  backend: Backend | null,
  context: CliContext,
): Promise<ChosenEngine> {
  if (choice.kind === 'llama-bench') {
    const engine = openLlamaBenchEngine(choice.path);
    const description = await engine.describe();
    return { engine, description, embedded: null, onGpu: seesGpu(description) };
  }
  const addedFolder = enginesDirectory(context.paths);
  const open = async (variant: Backend): Promise<ChosenEngine> => {
    const embedded = openEmbeddedEngine({ variant, addedFolder });
    const description = await embedded.describe();
    return { engine: embedded, description, embedded, onGpu: variant !== 'cpu' };
  };
  if (backend !== null) {
    const chosen = await open(backend);
    if (backend !== 'cpu' && !chosen.description.devices.some(({ kind }) => kind !== 'cpu')) {
      throw new EngineFailure(
        'load-failed',
        `The ${backend} engine sees no GPU here: install its driver, or use --backend cpu (ridgepoint engines lists what each engine sees).`,
      );
    }
    return chosen;
  }
  const installed = new Set(
    embeddedVariants(addedFolder)
      .filter(({ directory }) => directory !== null)
      .map(({ variant }) => variant),
  );
  for (const variant of GPU_VARIANTS) {
    if (!installed.has(variant)) continue;
    try {
      const chosen = await open(variant);
      if (seesGpu(chosen.description)) return chosen;
    } catch (error) {
      // A GPU driver that kills the engine must not keep the CPU from being measured; a user who stops it must.
      if (!(error instanceof EngineFailure) || context.signal.aborted) throw error;
      context.stderr(`warning: the ${variant} engine cannot be used: ${error.message}`);
    }
  }
  return open('cpu');
}

function seesGpu(description: EngineDescription): boolean {
  return description.devices.some(
    // llama-bench does not say what kind its devices are, but lists only the CPU as such.
    ({ kind, description: name }) =>
      kind !== 'cpu' && kind !== 'accelerator' && !SOFTWARE_RENDERER.test(name),
  );
}

/** Memory that weights may take where the engine computes; null is unknown and limits nothing. */
export function weightMemory({ description, onGpu }: ChosenEngine): Bytes | null {
  if (!onGpu) return bytes(process.availableMemory());
  const free = description.devices
    .filter(({ kind }) => kind !== 'cpu')
    .flatMap(({ freeBytes }) => freeBytes ?? []);
  return free.length === 0 ? null : bytes(Math.max(...free));
}
