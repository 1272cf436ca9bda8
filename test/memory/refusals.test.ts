import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { fitModel } from '../../src/advise/index.ts';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import { embeddedVariants, openEmbeddedEngine } from '../../src/engine/host/index.ts';
import { writeSparse } from '../../src/model/host/index.ts';
import { DEFAULT_CONTEXT, ON_DEVICE, shapeOf } from '../../src/model/index.ts';

const installed = embeddedVariants().some(
  ({ variant, directory }) => variant === 'cpu' && directory !== null,
);
const record = readModelRecords().find(({ id }) => id === 'smollm2-135m');
const CONTEXT = { ...DEFAULT_CONTEXT, contextTokens: 4096 };

describe.skipIf(process.platform !== 'linux' || !installed)('a number of sequences', () => {
  it.each([256, 257, 1000])(
    'of %i is refused where the engine refuses it, in its words',
    async (sequences) => {
      if (record === undefined) throw new Error('no model');
      const shape = shapeOf(record);
      const file = path.join(tmpdir(), `ridgepoint-refusal-${randomUUID()}.gguf`);
      try {
        await writeSparse({ shape, mix: 'Q4_0' }, file);
        const context = {
          ...CONTEXT,
          sequences,
          cacheTypeK: 'f16',
          cacheTypeV: 'f16',
          flashAttention: 'on',
        } as const;
        const [engine] = await openEmbeddedEngine({ variant: 'cpu' }).planMemory({
          modelPath: file,
          gpuLayers: -1,
          cpuMoeLayers: 0,
          contexts: [context],
        });
        if (engine === undefined) throw new Error('the engine said nothing');
        const fit = fitModel({
          shape,
          mix: 'Q4_0',
          settings: { ...CONTEXT, sequences },
          placement: ON_DEVICE,
          budget: null,
          mixes: [],
        });
        const ours = 'unsupported' in fit ? fit.unsupported : 'accepted';
        expect(ours).toBe('refusal' in engine ? engine.refusal : 'accepted');
        expect(ours === 'accepted').toBe(sequences <= 256);
      } finally {
        await rm(file, { force: true });
      }
    },
  );
});
