import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tinyShape } from '../../../test/fixtures/tiny-shapes.ts';
import { writeSynthetic } from '../../model/host/index.ts';
import { checkDefaults } from './bindings.ts';
import { openEmbeddedEngine, type EmbeddedModel } from './embedded.ts';

const EXPERTS = 128;
const USED = 8;
/** Distinct experts that `tokens` tokens touch under uniform routing. */
const expected = (tokens: number): number => EXPERTS * (1 - (1 - USED / EXPERTS) ** tokens);

describe('synthetic mixture-of-experts weights in the widths of Qwen3-30B-A3B', () => {
  let folder = '';
  let model: EmbeddedModel;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-routing-'));
    const modelPath = path.join(folder, 'moe.gguf');
    const shape = tinyShape('qwen3moe', {
      embeddingLength: 2048,
      heads: 32,
      kvHeads: 4,
      keyHeadLength: 128,
      valueHeadLength: 128,
      experts: { count: EXPERTS, used: USED, feedForwardLength: 768 },
      vocabularySize: 8000,
    });
    await writeSynthetic({ shape, mix: 'Q4_K_M', path: modelPath });
    model = await openEmbeddedEngine({ variant: 'cpu' }).load(
      {
        modelPath,
        contextTokens: 256,
        batchTokens: 256,
        ubatchTokens: 256,
        threads: 2,
        gpuLayers: 0,
        cpuMoeLayers: 0,
        cacheTypeK: 'f16',
        cacheTypeV: 'f16',
        flashAttention: 'auto',
      },
      { loadMilliseconds: 60_000, repetitionMilliseconds: 60_000 },
    );
  });
  afterAll(async () => {
    await model.end();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    { test: 'pp256', tokens: 256, singly: false },
    { test: 'tg32', tokens: 32, singly: true },
  ])('route $test as uniformly as a trained router', async ({ tokens, singly }) => {
    const { distinctExperts, logitsFinite } = await model.countExperts(tokens, singly);
    expect(logitsFinite).toBe(true);
    expect(distinctExperts).toHaveLength(2);
    // In a batch the last layer computes only the token whose logits are asked for.
    for (const distinct of singly ? distinctExperts : distinctExperts.slice(0, -1)) {
      expect(distinct / expected(tokens)).toBeGreaterThan(0.9);
      expect(distinct / expected(tokens)).toBeLessThan(1.1);
    }
  });
});

describe('a library of another release', () => {
  it('is refused by its default parameters', () => {
    const check = (n_ctx: number): void =>
      checkDefaults('llama_context_default_params', { n_ctx }, { n_ctx: 512 });
    expect(() => check(512)).not.toThrow();
    expect(() => check(0)).toThrow(/n_ctx = 0 instead of 512/);
  });
});
