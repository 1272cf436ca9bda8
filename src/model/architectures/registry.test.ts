import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../catalog/host/index.ts';
import { SYNTHETIC_ARCHITECTURES } from './registry.ts';

/** Architectures of the catalogue whose tensors are not described, each with the reason. */
const WITHOUT_TABLE: Readonly<Record<string, string>> = {
  deepseek2: 'latent attention',
  deepseek32: 'latent attention',
  deepseek4: 'latent attention',
  'falcon-h1': 'recurrent layers',
  'glm-dsa': 'latent attention',
  granitehybrid: 'recurrent layers',
  jamba: 'recurrent layers',
  'kimi-k3': 'latent attention',
  'kimi-linear': 'latent attention',
  lfm2: 'recurrent layers',
  lfm2moe: 'recurrent layers',
  mamba: 'recurrent layers',
  'minimax-m3': 'attention that an indexer makes sparse',
  nemotron_h: 'recurrent layers',
  nemotron_h_moe: 'recurrent layers',
  qwen35: 'recurrent layers',
  qwen35moe: 'recurrent layers',
  qwen3next: 'recurrent layers',
  rwkv7: 'recurrent layers',
};

const ofCatalogue = [...new Set(readModelRecords().map(({ architecture }) => architecture))].sort();

describe('the tables of architectures', () => {
  it('cover the catalogue, but for those listed with a reason', () => {
    const missing = ofCatalogue.filter((id) => !SYNTHETIC_ARCHITECTURES.includes(id));
    expect(missing).toEqual(Object.keys(WITHOUT_TABLE).sort());
  });
});
