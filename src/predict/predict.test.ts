import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDeviceRecords, readModelRecords } from '../catalog/host/index.ts';
import { shapeOf } from '../model/index.ts';
import { readParameters } from './host/index.ts';
import {
  calibrate,
  configure,
  parseBackend,
  parseQuantisation,
  predictTurn,
  Predictor,
  UNSTATED,
  workOf,
  type Configuration,
  type PredictedDevice,
  type Prediction,
} from './index.ts';
import { logCost } from './cost.ts';

const DEVICES = readDeviceRecords();
const MODELS = readModelRecords();
const PARAMETERS = readParameters();
const predictor = new Predictor(PARAMETERS, { devices: DEVICES, models: MODELS });
const WORKS = MODELS.map((record) => ({ id: record.id, work: workOf(shapeOf(record)) }));
const CASES = 2000;

const backends = [
  ['nvidia', 'cuda', 'ampere-geforce'],
  ['amd', 'rocm-7.1+rocwmma', 'rdna3.5'],
  ['amd', 'vulkan-radv', 'rdna4'],
  ['apple', 'metal', 'apple9'],
  ['intel', 'cpu', 'golden-cove'],
] as const;

interface Case {
  readonly device: PredictedDevice;
  readonly configuration: Configuration;
  readonly modelId: string;
}

/** Any model of the catalogue in any quantisation, on a device with any bandwidth and any peaks. */
const anyCase: fc.Arbitrary<Case> = fc
  .record({
    model: fc.constantFrom(...WORKS),
    quantisation: fc.constantFrom('Q4_0', 'Q4_K_M', 'Q8_0', 'IQ2_XS', 'BF16', 'MXFP4'),
    backend: fc.constantFrom(...backends),
    bandwidth: fc.double({ min: 1e10, max: 8e12, noNaN: true }),
    fp32: fc.double({ min: 1e11, max: 2e14, noNaN: true }),
    matrix: fc.double({ min: 1, max: 20, noNaN: true }),
    depth: fc.integer({ min: 0, max: 200_000 }),
    ubatch: fc.constantFrom(128, 512, 2048),
    flashAttention: fc.boolean(),
    count: fc.constantFrom(1, 2, 4),
    integrated: fc.boolean(),
  })
  .map(({ model, backend: [vendor, name, deviceClass], ...rest }) => {
    const unit = name === 'cpu' ? 'cpu' : 'gpu';
    const device: PredictedDevice = {
      id: 'anything',
      count: rest.count,
      unit,
      vendor,
      deviceClass,
      integrated: rest.integrated,
      bandwidthBytesPerSecond: rest.bandwidth,
      peaks: { fp32: rest.fp32, fp16: rest.fp32 * rest.matrix, int8: rest.fp32 * rest.matrix * 2 },
    };
    const backend = parseBackend(name, vendor, unit);
    const quantisation = parseQuantisation(rest.quantisation);
    if (backend === null || quantisation === null) throw new Error('the cases are written wrongly');
    const configuration = configure({
      device,
      backend,
      ...UNSTATED,
      work: model.work,
      quantisation,
      depth: rest.depth,
      ubatch: rest.ubatch,
      flashAttention: rest.flashAttention,
    });
    return { device, configuration, modelId: model.id };
  });

const SAME_DEVICE: PredictedDevice = {
  id: 'nvidia-rtx-3090',
  count: 1,
  unit: 'gpu',
  vendor: 'nvidia',
  deviceClass: 'ampere-geforce',
  integrated: false,
  bandwidthBytesPerSecond: 936e9,
  peaks: { fp32: 35e12, fp16: 142e12, int8: 284e12 },
};

const generationOf = (configuration: Configuration): Prediction =>
  predictor.predict(configuration, { metric: 'generation', context: configuration.depth + 64 }, null);
const promptOf = (configuration: Configuration): Prediction =>
  predictor.predict(configuration, { metric: 'prompt', tokens: 512 }, null);
const both = (configuration: Configuration): readonly Prediction[] => [
  generationOf(configuration),
  promptOf(configuration),
];

/** Rounding of sums of a dozen terms. */
const TOLERANCE = 1 + 1e-9;

function check(holds: (each: Case) => void): void {
  fc.assert(
    fc.property(anyCase, (each) => holds(each)),
    { numRuns: CASES, seed: 20261121 },
  );
}

describe('a prediction', () => {
  it('is never slower with more bandwidth or more compute', () => {
    check(({ device, configuration }) => {
      const faster = [
        { ...device, bandwidthBytesPerSecond: device.bandwidthBytesPerSecond * 1.7 },
        {
          ...device,
          peaks: {
            fp32: (device.peaks.fp32 ?? 0) * 1.7,
            fp16: (device.peaks.fp16 ?? 0) * 1.7,
            int8: (device.peaks.int8 ?? 0) * 1.7,
          },
        },
      ];
      for (const other of faster) {
        for (const [index, prediction] of both({ ...configuration, device: other }).entries()) {
          expect(prediction.tokensPerSecond * TOLERANCE).toBeGreaterThanOrEqual(
            both(configuration)[index]?.tokensPerSecond ?? 0,
          );
        }
      }
    });
  });

  it('is never slower with fewer bytes at the same efficiency', () => {
    check(({ configuration }) => {
      const { bytes } = configuration;
      const lighter = {
        ...configuration,
        bytes: { ...bytes, dense: bytes.dense * 0.8, experts: bytes.experts * 0.8, head: bytes.head * 0.8 },
      };
      for (const [index, prediction] of both(lighter).entries()) {
        expect(prediction.tokensPerSecond * TOLERANCE).toBeGreaterThanOrEqual(
          both(configuration)[index]?.tokensPerSecond ?? 0,
        );
      }
    });
  });

  it('is never faster with more tokens in the cache, neither generating nor for a prompt of the same length', () => {
    check(({ configuration }) => {
      const deeper = { ...configuration, depth: configuration.depth * 2 + 100 };
      for (const [index, prediction] of both(deeper).entries()) {
        expect(prediction.tokensPerSecond).toBeLessThanOrEqual(
          (both(configuration)[index]?.tokensPerSecond ?? 0) * TOLERANCE,
        );
      }
    });
  });

  it('never exceeds its roof, and its intervals contain it and one another', () => {
    check(({ configuration }) => {
      for (const { tokensPerSecond, low, high, low90, high90, roofTokensPerSecond, seconds, terms } of both(
        configuration,
      )) {
        expect(tokensPerSecond).toBeGreaterThan(0);
        expect(tokensPerSecond).toBeLessThanOrEqual(roofTokensPerSecond * TOLERANCE);
        expect(low90).toBeLessThanOrEqual(low);
        expect(low).toBeLessThan(tokensPerSecond);
        expect(high * TOLERANCE).toBeGreaterThanOrEqual(tokensPerSecond);
        expect(high90).toBeGreaterThanOrEqual(high);
        expect(terms.reduce((sum, term) => sum + term.seconds, 0) / seconds).toBeCloseTo(1, 9);
        for (const term of terms) {
          expect(term.seconds * TOLERANCE).toBeGreaterThanOrEqual(term.roofSeconds ?? 0);
        }
      }
    });
  });
});

describe('a table of predictions', () => {
  it('says at every depth what a single prediction says', () => {
    check(({ configuration, modelId }) => {
      const situation = predictor.situation({ ...configuration, depth: 0 }, modelId);
      for (const depth of [configuration.depth, 0, 777]) {
        for (const test of [
          { metric: 'generation', context: depth + 64 },
          { metric: 'prompt', tokens: 512 },
        ] as const) {
          const { terms, ...single } = predictor.predict({ ...configuration, depth }, test, modelId);
          expect(situation.estimate(test, depth)).toEqual(single);
          expect(terms.reduce((sum, term) => sum + term.seconds, 0)).toBeCloseTo(single.seconds, 12);
        }
      }
    });
  });

  it('keeps no costs for tests that others cost more or less', () => {
    fc.assert(
      fc.property(anyCase, fc.constantFrom(1, 9, 512, 5000), ({ device, configuration, modelId }, tokens) => {
        const fresh = { ...configuration, device: { ...device } };
        for (const test of [
          { metric: 'generation', context: 64 },
          { metric: 'prompt', tokens },
        ] as const) {
          // All cases are the same device to the predictor that keeps costs.
          const kept = { ...configuration, device: SAME_DEVICE };
          const alone = new Predictor(PARAMETERS, { devices: [], models: [] });
          expect(predictor.predict(kept, test, modelId)).toEqual(
            alone.predict({ ...fresh, device: { ...SAME_DEVICE } }, test, modelId),
          );
        }
      }),
      { numRuns: 400, seed: 3 },
    );
  });
});

describe('the limit cases', () => {
  it('agree with the bare roofline: a term without a learned cost takes its time at the roof', () => {
    expect(Math.exp(logCost('dense', -50))).toBeCloseTo(1, 12);
    expect(Math.exp(logCost('dense', 3))).toBeGreaterThan(1);
  });

  it('read of Llama 2 7B in Q4_0 what its file holds without the embedding table', () => {
    const found = WORKS.find(({ id }) => id === 'llama-2-7b')?.work;
    const weights = (found?.denseWeights ?? 0) + (found?.headWeights ?? 0);
    // 6,738,415,616 published weights less 32,000 x 4096 of the table and 65 norms of 4096.
    expect(weights).toBe(6_738_415_616 - 32_000 * 4096 - 65 * 4096);
  });
});

describe('answers of a batch', () => {
  const query = {
    id: 'q1',
    device: 'amd-ryzen-ai-max-395',
    backend: 'vulkan-radv',
    engine: 'llama.cpp',
    build: null,
    date: null,
    model: 'llama-2-7b.Q4_0',
    arch: 'llama',
    quant: 'Q4_0',
    modelSizeBytes: null,
    nParams: null,
    nPrompt: 0,
    nGen: 128,
    nDepth: 0,
    nBatch: null,
    nUbatch: null,
    flashAttention: null,
    typeK: null,
    typeV: null,
    nGpuLayers: 99,
  };

  it('carry a value within its interval, and a basis', () => {
    const answer = predictor.answer(query);
    if ('error' in answer) throw new Error(answer.error.message);
    expect(answer).toMatchObject({ id: 'q1', basis: 'measured-elsewhere' });
    expect(answer.low).toBeLessThan(answer.tokensPerSecond);
    expect(answer.high).toBeGreaterThan(answer.tokensPerSecond);
    // 256 GB/s over 3.56 GiB less the table: nothing is above the roof.
    expect(answer.high).toBeLessThan(72);
  });

  it.each([
    [{ device: 'nvidia-rtx-9999' }, 'unknown-device', 'nvidia-rtx-9999'],
    [{ model: 'no-such-model-3b' }, 'unknown-model', 'no-such-model-3b'],
    [{ backend: 'abacus' }, 'unknown-backend', 'abacus'],
    [{ nGen: 0 }, 'no-test', 'nPrompt'],
    [{ nGen: 'many' }, 'invalid-query', 'nGen'],
  ])('say for %o what is missing', (change, code, words) => {
    const answer = predictor.answer({ ...query, ...change });
    expect(answer).toMatchObject({ id: 'q1', error: { code } });
    expect('error' in answer ? answer.error.message : '').toContain(words);
  });

  it('survive anything', () => {
    fc.assert(
      fc.property(fc.anything(), (line) => {
        expect(predictor.answer(line)).toHaveProperty('id');
      }),
      { numRuns: 500, seed: 1 },
    );
  });
});

describe('a calibration', () => {
  it('moves a prediction to what was measured, and others of the device with it', () => {
    fc.assert(
      fc.property(
        anyCase,
        fc.double({ min: 0.5, max: 1.6, noNaN: true }),
        ({ configuration, device }, factor) => {
          const test = { metric: 'generation', context: configuration.depth + 64 } as const;
          const before = generationOf(configuration);
          const measured =
            before.seconds / Math.min(factor, before.roofTokensPerSecond / before.tokensPerSecond);
          const point = {
            configuration,
            ...predictor.uncalibrated(configuration, test),
            logSeconds: Math.log(measured),
          };
          const calibration = {
            deviceId: device.id,
            backend: configuration.backend.exact,
            measuredAt: '2026-11-01T00:00:00Z',
            points: 1,
            generation: calibrate('generation', [point]),
            prompt: {},
          };
          const own = new Predictor(PARAMETERS, { devices: DEVICES, models: MODELS }, [calibration]);
          const after = own.predict(configuration, test, null);
          expect(after.basis).toBe('calibrated');
          const was = Math.abs(Math.log(before.seconds / measured));
          expect(Math.abs(Math.log(after.seconds / measured))).toBeLessThanOrEqual(was + 1e-9);
        },
      ),
      { numRuns: 200, seed: 2 },
    );
  });

  it('without points changes nothing', () => {
    expect(calibrate('generation', [])).toEqual({});
  });
});

describe('a turn', () => {
  it('with a cached prompt is quicker than without, and its interval contains it', () => {
    check(({ configuration }) => {
      const turn = { promptTokens: 8000, outputTokens: 200 };
      const cold = predictTurn(predictor, configuration, { ...turn, cachedShare: 0 }, null);
      const warm = predictTurn(predictor, configuration, { ...turn, cachedShare: 0.7 }, null);
      expect(warm.firstToken.value).toBeLessThan(cold.firstToken.value * TOLERANCE);
      for (const { value, low, high } of [cold.whole, cold.firstToken, warm.whole, warm.firstToken]) {
        expect(low).toBeLessThanOrEqual(value);
        expect(high).toBeGreaterThan(value);
      }
    });
  });
});
