import { describe, expect, it } from 'vitest';
import { readDeviceRecords, readModelRecords } from '../catalog/host/index.ts';
import { resolveModelName } from '../catalog/index.ts';
import { isMixName, MIX_NAMES } from '../model/index.ts';
import { calibrate } from './calibrate.ts';
import type { Calibration } from './calibration.ts';
import type { Configuration } from './configuration.ts';
import { readParameters } from './host/index.ts';
import { configureOwn, ownDeviceId, predictedOwnDevice, type OwnDevice } from './own-device.ts';
import { Predictor } from './predict.ts';
import type { PredictedTest, Prediction } from './situation.ts';

/** Two cores of a Zen 4 in a virtual machine, as `ridgepoint calibrate` measured them. */
const OWN: OwnDevice = {
  id: 'own-amd-epyc',
  name: 'AMD EPYC',
  backend: 'cpu',
  unit: 'cpu',
  vendor: 'amd',
  integrated: false,
  memoryBytes: 25_276_514_304,
  measuredAt: '2026-11-21T08:08:14Z',
  fastestBytesPerSecond: 51.7e9,
  fastestFlopPerSecond: 412e9,
  types: [
    { type: 'F16', flopPerSecond: 85e9, bytesPerSecond: 41.5e9 },
    { type: 'Q8_0', flopPerSecond: 227e9, bytesPerSecond: 35.3e9 },
    { type: 'Q6_K', flopPerSecond: 146e9, bytesPerSecond: 38.8e9 },
    { type: 'Q5_K', flopPerSecond: 97e9, bytesPerSecond: 28.6e9 },
    { type: 'Q4_K', flopPerSecond: 296e9, bytesPerSecond: 41.3e9 },
  ],
};

const predictor = new Predictor(readParameters(), {
  devices: readDeviceRecords(),
  models: readModelRecords(),
});

function configurationOf(name: string, own: OwnDevice = OWN): Configuration {
  const { record, quantisation: mix } = resolveModelName(name, readModelRecords(), MIX_NAMES);
  const configuration = isMixName(mix) ? configureOwn(own, record, mix, 0) : null;
  if (configuration === null) throw new Error(`no such model: ${name}`);
  return configuration;
}

const termsOf = (configuration: Configuration, metric: 'generation' | 'prompt'): Record<string, number> => {
  const test = metric === 'prompt' ? ({ metric, tokens: 512 } as const) : ({ metric, context: 64 } as const);
  const { terms } = predictor.predict(configuration, test, null);
  return Object.fromEntries(terms.map(({ name, seconds }) => [name, seconds]));
};

describe('a device whose rates were measured', () => {
  it('multiplies a prompt at the measured rate of its type, less what products lose in a model', () => {
    const configuration = configurationOf('qwen3-1.7b:Q8_0');
    const alone = (2 * configuration.work.denseWeights * 512) / 227e9;
    expect(termsOf(configuration, 'prompt')['matmul']).toBeCloseTo(alone / 0.957, 3);
  });

  it('streams the weights of a token at the measured rate of their type', () => {
    const configuration = configurationOf('qwen3-1.7b:Q8_0');
    const { dense, head } = configuration.bytes;
    expect(termsOf(configuration, 'generation')['dense']).toBeCloseTo((dense + head) / 35.3e9, 5);
  });

  it('takes each matrix of a mix at the rate of its own type', () => {
    const time = (name: string): number => termsOf(configurationOf(name), 'prompt')['matmul'] ?? Number.NaN;
    const mixed = time('llama-3.2-3b:Q4_K_M');
    // A seventh of the weights are in Q6_K, which runs at half the rate of Q4_K here.
    const onlyFour = (2 * configurationOf('llama-3.2-3b:Q4_K_M').work.denseWeights * 512) / 296e9 / 0.957;
    expect(mixed / onlyFour).toBeGreaterThan(1.1);
    expect(mixed / onlyFour).toBeLessThan(1.2);
    expect(time('llama-3.2-3b:Q5_K_M')).toBeGreaterThan(1.7 * mixed);
  });

  it('takes a type that was not measured for the one with the most similar number of bits', () => {
    const own = { ...OWN, types: OWN.types.filter(({ type }) => type !== 'Q8_0') };
    const time = termsOf(configurationOf('qwen3-1.7b:Q8_0', own), 'prompt')['matmul'] ?? Number.NaN;
    const known = termsOf(configurationOf('qwen3-1.7b:Q8_0'), 'prompt')['matmul'] ?? Number.NaN;
    expect(time / known).toBeCloseTo(227 / 146, 3);
  });

  it('says what it rests on, and stays below the fastest products', () => {
    for (const name of ['qwen3-1.7b:Q8_0', 'qwen3-30b-a3b:Q4_K_M', 'gemma-3-4b:F16']) {
      const prediction = predictor.predict(
        configurationOf(name),
        { metric: 'generation', context: 64 },
        null,
      );
      expect(prediction.basis).toBe('measured-ceilings');
      expect(prediction.tokensPerSecond).toBeLessThanOrEqual(prediction.roofTokensPerSecond);
      for (const { seconds, roofSeconds } of prediction.terms)
        expect(roofSeconds ?? 0).toBeLessThanOrEqual(seconds);
    }
  });

  it('holds the roof even where its own types are said to be faster', () => {
    const [first] = OWN.types;
    if (first === undefined) throw new Error('no type');
    const own = { ...OWN, types: [{ ...first, type: 'Q8_0', bytesPerSecond: 500e9, flopPerSecond: 5e12 }] };
    const configuration = configurationOf('qwen3-1.7b:Q8_0', own);
    const { dense, head } = configuration.bytes;
    const { tokensPerSecond } = predictor.predict(configuration, { metric: 'generation', context: 64 }, null);
    expect(tokensPerSecond).toBeLessThanOrEqual(51.7e9 / (dense + head));
  });
});

describe('a processor whose attention was measured', () => {
  const attention = [
    { headLength: 64, keyValueHeads: 8, firstHeadSeconds: 24e-9, furtherHeadSeconds: 7e-9 },
    { headLength: 128, keyValueHeads: 8, firstHeadSeconds: 68e-9, furtherHeadSeconds: 16e-9 },
  ];
  const pastOf = (name: string, context: number, own: OwnDevice = { ...OWN, attention }): number => {
    const { terms } = predictor.predict(configurationOf(name, own), { metric: 'generation', context }, null);
    return terms
      .filter(({ name: term }) => term === 'cache' || term === 'attention')
      .reduce((sum, { seconds }) => sum + seconds, 0);
  };

  it('lets the first query head of a row wait for it, and the others find it near', () => {
    // 28 layers with 24 query heads on 8 heads of the cache.
    const row = 28 * (8 * 68e-9 + 16 * 16e-9);
    expect(pastOf('llama-3.2-3b:Q4_K_M', 2048)).toBeCloseTo(2048 * row, 6);
    // 24 layers with a head of the cache for each of 32 query heads, of 64 values.
    expect(pastOf('smollm2-1.7b:Q8_0', 2048)).toBeCloseTo(2048 * 24 * 32 * 24e-9, 6);
  });

  it('takes lengths between measured ones from a line, and longer ones in proportion', () => {
    // 32 layers with 32 heads of 96 values, none shared; a window of 2047 tokens.
    expect(pastOf('phi-3-mini-4k:Q4_0', 1024)).toBeCloseTo(1024 * 32 * 32 * 46e-9, 5);
    // 18 layers with 8 query heads on 4 heads of the cache, of 256 values.
    expect(pastOf('falcon3-1b:Q8_0', 2048)).toBeCloseTo(2048 * 18 * (4 * 136e-9 + 4 * 32e-9), 6);
  });

  it('takes numbers of heads between measured ones from a line by their logarithms, and others from the nearest', () => {
    const far = { headLength: 128, keyValueHeads: 32, firstHeadSeconds: 88e-9, furtherHeadSeconds: 16e-9 };
    const own: OwnDevice = { ...OWN, attention: [...attention, far] };
    // 16 layers with 16 heads of 128 values, none shared: half-way between 8 and 32 heads.
    expect(pastOf('olmo-2-1b:Q6_K', 2048, own)).toBeCloseTo(2048 * 16 * 16 * 78e-9, 6);
    // 28 layers with 12 query heads on 2 heads of the cache.
    expect(pastOf('qwen2.5-1.5b:Q8_0', 2048, own)).toBeCloseTo(2048 * 28 * (2 * 68e-9 + 10 * 16e-9), 6);
  });

  it('is as fast on a GPU as its roofs let it be', () => {
    const gpu: OwnDevice = { ...OWN, unit: 'gpu', attention };
    expect(predictedOwnDevice(gpu).measuredAttention).toBeUndefined();
  });
});

describe('a calibration of a device whose rates were measured', () => {
  const lengthOf = (name: string, test: PredictedTest, depth: number, after: readonly Calibration[] = []) => {
    const configuration = { ...configurationOf(name), depth };
    const catalog = { devices: readDeviceRecords(), models: readModelRecords() };
    const own = new Predictor(readParameters(), catalog, after);
    return { configuration, prediction: own.predict(configuration, test, null) };
  };
  const deep = { metric: 'prompt', tokens: 512 } as const;

  it('finds slow attention where only the point at depth is slow, and leaves the products alone', () => {
    const points = [0, 4096].map((depth) => {
      const { configuration, prediction } = lengthOf('llama-3.2-3b:Q4_K_M', deep, depth);
      const attention = prediction.terms.find(({ name }) => name === 'attention')?.seconds ?? 0;
      // Attention twice as slow as it was taken for.
      const logSeconds = Math.log(prediction.seconds + attention);
      return { configuration, ...predictor.uncalibrated(configuration, deep), logSeconds };
    });
    const calibration: Calibration = {
      deviceId: OWN.id,
      backend: 'cpu',
      measuredAt: OWN.measuredAt,
      points: 2,
      generation: {},
      prompt: calibrate('prompt', points),
    };
    for (const depth of [0, 2048]) {
      const before = lengthOf('qwen3-1.7b:Q8_0', deep, depth).prediction;
      const after = lengthOf('qwen3-1.7b:Q8_0', deep, depth, [calibration]).prediction;
      const ratioOf = (term: string): number => {
        const of = (each: Prediction): number =>
          each.terms.find(({ name }) => name === term)?.seconds ?? Number.NaN;
        return of(after) / of(before);
      };
      expect(after.basis).toBe('calibrated');
      expect(ratioOf('attention')).toBeGreaterThan(1.6);
      expect(ratioOf('attention')).toBeLessThan(2.2);
      expect(ratioOf('matmul')).toBeGreaterThan(0.95);
      expect(ratioOf('matmul')).toBeLessThan(1.08);
    }
  });
});

describe('the id of a device that is in no catalogue', () => {
  it('is made of its name', () => {
    expect(ownDeviceId('AMD EPYC')).toBe('own-amd-epyc');
    expect(ownDeviceId('  ')).toBe('own-device');
  });
});
