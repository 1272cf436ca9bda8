import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TINY_HYBRID_ARCHITECTURES, tinyHybrid } from '../../../test/fixtures/tiny-hybrids.ts';
import { writeSynthetic } from '../../model/host/index.ts';
import { parameterCount } from '../../model/index.ts';
import { openEmbeddedEngine } from './embedded.ts';

const PROMPT_TOKENS = 16;
const GENERATED_TOKENS = 4;
/** Enough for states that grow with every token to become infinite, and for indexers to choose among tokens. */
const LONG_PROMPT_TOKENS = 1024;
/** Of 16 experts, of which each token meets 4, 512 tokens meet all; a collapsed router gives them half or less. */
const FEWEST_EXPERTS = 14;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-hybrids-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('synthetic models with latent, indexed or recurrent attention', () => {
  it.each(TINY_HYBRID_ARCHITECTURES)('%s are loaded whole, and their logits are numbers', async (name) => {
    const modelPath = path.join(folder, `${name}.gguf`);
    const shape = tinyHybrid(name);
    await writeSynthetic({ shape, mix: 'Q4_K_M', path: modelPath });
    const engine = openEmbeddedEngine({ variant: 'cpu' });
    const model = await engine.load(
      {
        modelPath,
        contextTokens: LONG_PROMPT_TOKENS,
        batchTokens: 512,
        ubatchTokens: 512,
        threads: 1,
        gpuLayers: 0,
        cpuMoeLayers: 0,
        cacheTypeK: 'f16',
        cacheTypeV: 'f16',
        flashAttention: 'auto',
      },
      { loadMilliseconds: 60_000, repetitionMilliseconds: 60_000 },
    );
    try {
      expect(model.info?.parameters).toBe(parameterCount(shape));
      const prompt = await model.countExperts(PROMPT_TOKENS, false);
      const generation = await model.countExperts(GENERATED_TOKENS, true);
      const longPrompt = await model.countExperts(LONG_PROMPT_TOKENS, false);
      expect([prompt, generation, longPrompt].map(({ logitsFinite }) => logitsFinite)).toEqual([
        true,
        true,
        true,
      ]);
      // In a batch the last layer computes only the token whose logits are asked for.
      for (const distinct of longPrompt.distinctExperts.slice(0, -1)) {
        expect(distinct).toBeGreaterThanOrEqual(FEWEST_EXPERTS);
      }
    } finally {
      await model.end();
    }
  });
});
