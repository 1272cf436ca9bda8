import { DENSE_ARCHITECTURES } from './dense.ts';
import { EXPERT_ARCHITECTURES } from './experts.ts';
import { GEMMA_ARCHITECTURES } from './gemma.ts';
import { PER_LAYER_GEMMA_ARCHITECTURES } from './gemma-per-layer.ts';
import { GPT_OSS_ARCHITECTURES } from './gpt-oss.ts';
import { LLAMA_ARCHITECTURES } from './llama.ts';
import { PHI_ARCHITECTURES } from './phi.ts';
import { QWEN_ARCHITECTURES } from './qwen.ts';
import type { Architecture } from './architecture.ts';

const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map(
  [
    ...LLAMA_ARCHITECTURES,
    ...QWEN_ARCHITECTURES,
    ...GPT_OSS_ARCHITECTURES,
    ...GEMMA_ARCHITECTURES,
    ...PER_LAYER_GEMMA_ARCHITECTURES,
    ...PHI_ARCHITECTURES,
    ...DENSE_ARCHITECTURES,
    ...EXPERT_ARCHITECTURES,
  ].map((entry) => [entry.id, entry]),
);

/** The architectures of which synthetic models can be made. */
export const SYNTHETIC_ARCHITECTURES: readonly string[] = [...ARCHITECTURES.keys()];

export function isSyntheticArchitecture(id: string): boolean {
  return ARCHITECTURES.has(id);
}

/** A model cannot be described because its architecture is not one of those that are built in. */
export class UnsupportedArchitectureError extends Error {
  override readonly name = 'UnsupportedArchitectureError';
}

/** @throws UnsupportedArchitectureError when no table describes the architecture. */
export function architectureOf(id: string): Architecture {
  const found = ARCHITECTURES.get(id);
  if (found === undefined) {
    throw new UnsupportedArchitectureError(
      `No synthetic model can be made of the architecture '${id}'; there are ${SYNTHETIC_ARCHITECTURES.join(', ')}.`,
    );
  }
  return found;
}
