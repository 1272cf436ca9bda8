import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TINY_HYBRID_ARCHITECTURES, tinyHybrid } from '../../../test/fixtures/tiny-hybrids.ts';
import { writeSynthetic } from '../../model/host/index.ts';
import { fewestRunnableLayers, parameterCount, sampleLayers, type ModelShape } from '../../model/index.ts';
import { openEmbeddedEngine, type EmbeddedModel } from './embedded.ts';

/** Products with quantised weights quantise what they are multiplied with as well, and hide infinities by that. */
const MIX = 'F16';
const GENERATED_TOKENS = 4;
/** Enough for states that grow with every token to become infinite, and for indexers to choose among tokens. */
const LONG_PROMPT_TOKENS = 1024;
/** Of 16 experts, of which each token meets 4, 512 tokens meet all; a collapsed router gives them half or less. */
const FEWEST_EXPERTS = 14;

/** One architecture of each kind whose samples llama.cpp would abort on without certain layers, or another first one. */
const PARTICULAR_SAMPLES = [
  'qwen35',
  'kimi-linear',
  'nemotron_h',
  'jamba',
  'lfm2',
  'deepseek4',
  'rwkv7',
] as const;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-hybrids-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Uses the synthetic model of these layers, and ends it. */
async function withModel(
  shape: ModelShape,
  layers: readonly number[] | undefined,
  use: (model: EmbeddedModel) => Promise<void>,
): Promise<void> {
  const modelPath = path.join(folder, `${shape.id}-${layers?.length ?? 'all'}.gguf`);
  await writeSynthetic({ shape, mix: MIX, layers, path: modelPath });
  const model = await openEmbeddedEngine({ variant: 'cpu' }).load(
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
    expect(model.info?.parameters).toBe(parameterCount(shape, layers));
    await use(model);
  } finally {
    await model.end();
  }
}

describe('synthetic models with latent, indexed or recurrent attention', () => {
  it.each(TINY_HYBRID_ARCHITECTURES)('of %s keep their states finite over a long prompt', async (name) => {
    await withModel(tinyHybrid(name), undefined, async (model) => {
      const { logitsFinite, distinctExperts } = await model.countExperts(LONG_PROMPT_TOKENS, false);
      expect(logitsFinite).toBe(true);
      // In a batch the last layer computes only the token whose logits are asked for.
      for (const distinct of distinctExperts.slice(0, -1)) {
        expect(distinct).toBeGreaterThanOrEqual(FEWEST_EXPERTS);
      }
    });
  });

  it.each(PARTICULAR_SAMPLES)('of %s run with the fewest layers that are sampled', async (name) => {
    const shape = tinyHybrid(name);
    const layers = sampleLayers(shape, MIX, fewestRunnableLayers(shape));
    await withModel(shape, layers, async (model) => {
      expect(await model.countExperts(GENERATED_TOKENS, true)).toMatchObject({ logitsFinite: true });
    });
  });
});
