import { describe, it } from 'vitest';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import type { ContextSettings } from '../../src/engine/index.ts';
import { embeddedVariants } from '../../src/engine/host/index.ts';
import { shapeOf, type ModelShape } from '../../src/model/index.ts';
import { compareMemory, contextsOf, disagreements } from './compare.ts';

const installed = embeddedVariants().some(
  ({ variant, directory }) => variant === 'cpu' && directory !== null,
);

/** The smallest model of each architecture: the header of a large one takes longer to read and shows no more. */
function oneOfEachArchitecture(): ModelShape[] {
  const chosen = new Map<string, ModelShape>();
  for (const shape of readModelRecords().map(shapeOf)) {
    const other = chosen.get(shape.architecture);
    if (other === undefined || shape.layers < other.layers) chosen.set(shape.architecture, shape);
  }
  return [...chosen.values()];
}

/** Each value of each setting at least once; `npm run fidelity -- memory` compares all combinations. */
function sampledContexts(maximumTokens: number): ContextSettings[] {
  const wanted = [
    { contextTokens: 4096, cacheTypeV: 'f16', ubatchTokens: 512, flashAttention: 'on', sequences: 1 },
    { contextTokens: 32_768, cacheTypeV: 'f16', ubatchTokens: 2048, flashAttention: 'off', sequences: 4 },
    { contextTokens: 4096, cacheTypeV: 'q8_0', ubatchTokens: 512, flashAttention: 'off', sequences: 1 },
    {
      contextTokens: maximumTokens,
      cacheTypeV: 'q8_0',
      ubatchTokens: 2048,
      flashAttention: 'on',
      sequences: 1,
    },
  ];
  return contextsOf(maximumTokens).filter((context) =>
    wanted.some((each) => Object.entries(each).every(([key, value]) => Reflect.get(context, key) === value)),
  );
}

describe.skipIf(process.platform !== 'linux' || !installed).each(oneOfEachArchitecture())(
  'memory of $id ($architecture)',
  (shape) => {
    // Most of the time goes into starting the engine: several at once keep the cores busy.
    it.concurrent('is what the engine accounts for', async ({ expect }) => {
      const compared = await compareMemory(shape, 'Q4_K_M', 'cpu', sampledContexts(shape.contextLength));
      expect(compared.length).toBeGreaterThanOrEqual(4);
      expect(compared.flatMap(disagreements)).toEqual([]);
    });
  },
);
