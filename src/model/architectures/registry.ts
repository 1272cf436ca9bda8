import { DENSE_ARCHITECTURES } from './dense.ts';
import { EXPERT_ARCHITECTURES } from './experts.ts';
import { GEMMA_ARCHITECTURES } from './gemma.ts';
import { PER_LAYER_GEMMA_ARCHITECTURES } from './gemma-per-layer.ts';
import { GPT_OSS_ARCHITECTURES } from './gpt-oss.ts';
import { LLAMA_ARCHITECTURES } from './llama.ts';
import { PHI_ARCHITECTURES } from './phi.ts';
import { QWEN_ARCHITECTURES } from './qwen.ts';
import { DEEPSEEK_ARCHITECTURES } from './deepseek.ts';
import { DEEPSEEK4_ARCHITECTURES } from './deepseek4.ts';
import { KIMI_ARCHITECTURES } from './kimi.ts';
import { LFM2_ARCHITECTURES } from './lfm2.ts';
import { MAMBA_2_ARCHITECTURES } from './mamba2-hybrid.ts';
import { MAMBA_ARCHITECTURES } from './mamba.ts';
import { MINIMAX_M3_ARCHITECTURES } from './minimax-m3.ts';
import { QWEN_HYBRID_ARCHITECTURES } from './qwen-hybrid.ts';
import { RWKV7_ARCHITECTURES } from './rwkv7.ts';
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
    ...DEEPSEEK_ARCHITECTURES,
    ...DEEPSEEK4_ARCHITECTURES,
    ...KIMI_ARCHITECTURES,
    ...LFM2_ARCHITECTURES,
    ...MAMBA_2_ARCHITECTURES,
    ...MAMBA_ARCHITECTURES,
    ...MINIMAX_M3_ARCHITECTURES,
    ...QWEN_HYBRID_ARCHITECTURES,
    ...RWKV7_ARCHITECTURES,
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
