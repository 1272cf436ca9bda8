import { backendOf, type MemoryBudget } from '../advise/index.ts';
import {
  hasKnownNextTokenLayers,
  projectorMemory,
  type ContextMemorySettings,
  type ModelShape,
  type ProjectorMemory,
} from '../model/index.ts';
import { formatBytes, type Bytes } from '../units/index.ts';
import { CommandFailure } from './exit.ts';
import type { FitFlags } from './fit-options.ts';

/** The type in which projectors are published most. */
const PROJECTOR_TYPE = 'F16';

/** Why weights lie in the system's memory that were to be on the GPU; nothing where none do. */
export function heldBackNotes(heldBackBytes: Bytes): string[] {
  return heldBackBytes === 0
    ? []
    : [
        `${formatBytes(heldBackBytes)} of the weights stay in the system's memory: each of their tensors is larger than 4 GiB, the most that Vulkan has in one buffer. CUDA, ROCm and Metal have no such limit, and would have them on the GPU.`,
      ];
}

/** What a model has beside what is counted, and what takes more than is known. */
export function companionNotes(
  shape: ModelShape,
  { draftsFurtherTokens }: ContextMemorySettings,
  projector: ProjectorMemory | null,
): string[] {
  const notes: string[] = [];
  if (shape.mtpLayers > 0 && draftsFurtherTokens !== true) {
    const add = hasKnownNextTokenLayers(shape) ? '; --draft-mtp counts what drafting with them takes' : '';
    notes.push(
      `Layers that predict further tokens are not counted: llama.cpp leaves them out unless it drafts with them${add}.`,
    );
  }
  if (projector !== null) {
    const estimate =
      projector.basis === 'tensors'
        ? ''
        : ' Its size is an estimate: the number of its weights is known, not their types.';
    notes.push(
      `mmproj is counted without the buffers in which it computes, which are not known; for Qwen 3.6 27B llama.cpp logged 248 MiB on the GPU and 25 MiB beside.${estimate}`,
    );
  } else if (shape.vision !== null) {
    const known = projectorMemory(shape, PROJECTOR_TYPE, 1);
    notes.push(
      known === null
        ? 'The mmproj with which the model sees is not counted; its size is not known.'
        : `The mmproj with which the model sees is not counted; --mmproj adds its ${formatBytes(known.weightBytes)}.`,
    );
  }
  return notes;
}

/** @throws CommandFailure where a projector was asked for that there is not, or of which nothing is known. */
export function projectorOf(shape: ModelShape, budget: MemoryBudget): ProjectorMemory {
  const memory = projectorMemory(shape, PROJECTOR_TYPE, backendOf(budget).device.alignment);
  if (memory !== null) return memory;
  const what =
    shape.vision === null ? 'Nothing is known of an mmproj of' : 'It is not known how large the mmproj is of';
  throw new CommandFailure(
    `${what} ${shape.id}; leave out --mmproj, and add the size of the file to what fit says.`,
  );
}

/** @throws CommandFailure where a model has nothing to draft with, or it is not known what. */
export function checkDraft(shape: ModelShape, { exact }: FitFlags): void {
  if (exact === true) {
    throw new CommandFailure(
      '--exact asks for the context of the model alone, not for the one that drafts; leave out --exact or --draft-mtp.',
    );
  }
  if (shape.mtpLayers === 0) {
    throw new CommandFailure(
      `${shape.id} has no layers that predict further tokens, so --draft-mtp cannot be used with it.`,
    );
  }
  if (!hasKnownNextTokenLayers(shape)) {
    throw new CommandFailure(
      `${shape.id} has layers that predict further tokens, but it is not known what they are made of; without --draft-mtp llama.cpp does not load them.`,
    );
  }
}
