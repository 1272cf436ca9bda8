import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import { embeddedVariants, openEmbeddedEngine } from '../../src/engine/host/index.ts';
import type { ContextMemory, ContextOutcome, ContextSettings } from '../../src/engine/index.ts';
import { writeSparse } from '../../src/model/host/index.ts';
import {
  COMPUTE_BACKENDS,
  DEFAULT_CONTEXT,
  memoryOf,
  ON_DEVICE,
  shapeOf,
  tensorsWithNextTokenLayers,
  type MemoryBreakdown,
  type MemoryKind,
} from '../../src/model/index.ts';
import { MIB } from '../../src/units/index.ts';

const installed = embeddedVariants().some(
  ({ variant, directory }) => variant === 'cpu' && directory !== null,
);

/** Gated delta nets, latent attention, and a layer that is two of the model's folded into one. */
const MODELS = ['qwen3.5-0.8b', 'glm-4.7-flash', 'nemotron-3-super-120b-a12b'];

function accountOf(outcome: ContextOutcome | undefined): ContextMemory {
  if (outcome === undefined || 'refusal' in outcome) throw new Error('the engine refused');
  return outcome;
}

const sumOf = ({ buffers }: ContextMemory, key: 'modelBytes' | 'contextBytes' | 'computeBytes'): number =>
  buffers.reduce((sum, buffer) => sum + buffer[key], 0);

const bytesOf = ({ lines }: MemoryBreakdown, ...kinds: readonly MemoryKind[]): number =>
  lines.reduce((sum, { kind, hostBytes }) => sum + (kinds.includes(kind) ? hostBytes : 0), 0);

describe.skipIf(process.platform !== 'linux' || !installed)('layers that predict further tokens', () => {
  it.concurrent.each(MODELS)('of %s are left out, or loaded with a context of their own', async (id) => {
    const record = readModelRecords().find((each) => each.id === id);
    if (record === undefined) throw new Error(`no ${id}`);
    const shape = shapeOf(record);
    const tensors = tensorsWithNextTokenLayers(shape, 'Q4_K_M');
    const settings = {
      ...DEFAULT_CONTEXT,
      contextTokens: 8192,
      cacheTypeK: 'Q8_0',
      cacheTypeV: 'Q8_0',
    } as const;
    const own: ContextSettings = {
      ...settings,
      cacheTypeK: 'q8_0',
      cacheTypeV: 'q8_0',
      flashAttention: 'on',
    };
    const file = path.join(tmpdir(), `ridgepoint-draft-${randomUUID()}.gguf`);
    const engine = openEmbeddedEngine({ variant: 'cpu' });
    const ask = async (
      nextTokenLayers: boolean,
      contexts: readonly ContextSettings[],
    ): Promise<ContextMemory[]> => {
      const request = { modelPath: file, gpuLayers: -1, cpuMoeLayers: 0, nextTokenLayers, contexts };
      return (await engine.planMemory(request)).map(accountOf);
    };
    const ours = (draftsFurtherTokens: boolean): MemoryBreakdown => {
      const context = { ...settings, draftsFurtherTokens };
      const result = memoryOf({ shape, tensors }, context, ON_DEVICE, COMPUTE_BACKENDS.cpu);
      if ('unsupported' in result) throw new Error(result.unsupported);
      return result;
    };
    try {
      await writeSparse({ shape, mix: 'Q4_K_M', nextTokenLayers: true }, file);
      const [plain] = await ask(false, [own]);
      const [target, draft] = await ask(true, [
        // Of the architectures that cannot go back the engine clamps this to none.
        { ...own, rollbackStates: 3 },
        { ...own, cacheTypeK: 'f16', cacheTypeV: 'f16', drafts: true },
      ]);
      if (plain === undefined || target === undefined || draft === undefined) throw new Error('no answer');
      const without = ours(false);
      expect(bytesOf(without, 'weights')).toBe(sumOf(plain, 'modelBytes'));
      expect(bytesOf(without, 'kv-cache', 'recurrent-state')).toBe(sumOf(plain, 'contextBytes'));
      expect(bytesOf(without, 'draft-cache', 'draft-compute')).toBe(0);
      const drafting = ours(true);
      expect(bytesOf(drafting, 'weights')).toBe(sumOf(target, 'modelBytes'));
      expect(bytesOf(drafting, 'kv-cache', 'recurrent-state')).toBe(sumOf(target, 'contextBytes'));
      expect(bytesOf(drafting, 'draft-cache')).toBe(sumOf(draft, 'contextBytes'));
      // An upper estimate: of the whole model's graph without its logits, which the engine reserves for one token.
      expect(bytesOf(drafting, 'draft-compute')).toBeGreaterThan(sumOf(draft, 'computeBytes') - MIB);
    } finally {
      await rm(file, { force: true });
    }
  });
});
