import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exampleRecord, failedWith, firstLayers } from '../../test/fixtures/measurement-record.ts';
import { EXTRAPOLATION_ERROR, fullSamplesNanoseconds, summarise, summariseOrExplain } from './summary.ts';

const sampled = (
  runs: readonly (readonly [layers: number, samples: number[]])[],
  total = 32,
): ReturnType<typeof exampleRecord> =>
  exampleRecord({
    model: { ...exampleRecord().model, source: 'synthetic', layers: total },
    exampleRuns: runs.map(([layers, samplesNanoseconds]) => ({
      layers: firstLayers(layers),
      samplesNanoseconds,
    })),
  });

describe('the summary of a whole model', () => {
  test('is the median with its interval, faster rates for shorter times', () => {
    const summary = summarise(exampleRecord());
    expect(summary?.method).toBe('direct');
    expect(summary?.secondsPerRepetition.value).toBe(0.5);
    expect(summary?.tokensPerSecond.value).toBe(1024);
    const interval = summary?.tokensPerSecond.interval95;
    expect(interval?.low).toBeGreaterThanOrEqual(512 / 0.51);
    expect(interval?.high).toBeLessThanOrEqual(512 / 0.49);
    expect(summary?.extrapolation).toBeNull();
  });

  test('counts prompt and generated tokens together, and not the depth', () => {
    const record = exampleRecord({ test: { promptTokens: 512, generatedTokens: 128, depthTokens: 4096 } });
    expect(summarise(record)?.tokensPerSecond.value).toBe(1280);
  });

  test('gives no interval to a single repetition', () => {
    const record = exampleRecord({ exampleRuns: [{ layers: null, samplesNanoseconds: [1e9] }] });
    expect(summarise(record)?.tokensPerSecond).toEqual({ value: 512, interval80: null, interval95: null });
  });

  test('names a repetition far from the others', () => {
    const samplesNanoseconds = [1e9, 1.001e9, 0.999e9, 1.002e9, 0.998e9, 3e9];
    const summary = summarise(exampleRecord({ exampleRuns: [{ layers: null, samplesNanoseconds }] }));
    expect(summary?.outliersNanoseconds).toEqual([3e9]);
  });

  test('is read directly when one of the runs holds every layer', () => {
    const summary = summarise(
      sampled([
        [4, [1e8, 1e8]],
        [32, [7e8, 7e8]],
      ]),
    );
    expect(summary?.method).toBe('direct');
    expect(summary?.secondsPerRepetition.value).toBe(0.7);
  });
});

describe('the summary of sampled layers', () => {
  const line = fc.record({
    perLayer: fc.integer({ min: 1e5, max: 1e9 }),
    base: fc.integer({ min: 0, max: 1e9 }),
    counts: fc.uniqueArray(fc.integer({ min: 1, max: 31 }), { minLength: 2, maxLength: 4 }),
    repetitions: fc.integer({ min: 2, max: 6 }),
  });

  test('recovers exactly linear data', () => {
    fc.assert(
      fc.property(line, ({ perLayer, base, counts, repetitions }) => {
        const truth = base + 32 * perLayer;
        const record = sampled(
          counts.map((count) => [count, Array.from({ length: repetitions }, () => base + count * perLayer)]),
        );
        const summary = summarise(record);
        expect(summary?.method).toBe('extrapolated');
        expect((summary?.secondsPerRepetition.value ?? 0) / (truth / 1e9)).toBeCloseTo(1, 9);
        expect((summary?.extrapolation?.secondsPerLayer ?? 0) / (perLayer / 1e9)).toBeCloseTo(1, 6);
        for (const sample of fullSamplesNanoseconds(record) ?? []) {
          expect(Math.abs(sample - truth)).toBeLessThanOrEqual(1 + truth * 1e-9);
        }
      }),
      { numRuns: 30 },
    );
  });

  test('holds the truth in its interval while noise moves whole rounds of the interleaved runs', () => {
    const shared = fc.array(fc.integer({ min: -30, max: 30 }), { minLength: 5, maxLength: 9 });
    fc.assert(
      fc.property(shared, (permille) => {
        // The first round is quiet, so that the truth lies among the rounds.
        const factors = [0, ...permille, ...permille.map((noise) => -noise)].map((noise) => 1 + noise / 1000);
        const at = (count: number): number[] => factors.map((factor) => factor * (5e6 + count * 2e7));
        const interval = summarise(
          sampled([
            [4, at(4)],
            [8, at(8)],
          ]),
        )?.secondsPerRepetition.interval80;
        expect(interval?.low).toBeLessThanOrEqual(0.645);
        expect(interval?.high).toBeGreaterThanOrEqual(0.645);
      }),
      { numRuns: 20 },
    );
  });

  test('is never surer than the extrapolation allows', () => {
    const summary = summarise(
      sampled([
        [4, [4e8, 4e8, 4e8]],
        [8, [8e8, 8e8, 8e8]],
      ]),
    );
    const interval = summary?.secondsPerRepetition.interval80;
    expect(interval?.high).toBeCloseTo(3.2 * Math.exp(1.2816 * EXTRAPOLATION_ERROR), 6);
    expect(interval?.low).toBeCloseTo(3.2 * Math.exp(-1.2816 * EXTRAPOLATION_ERROR), 6);
  });

  test('takes runs with different numbers of repetitions', () => {
    const summary = summarise(
      sampled([
        [4, [4e8, 4.1e8, 3.9e8]],
        [8, [8e8, 8.1e8]],
      ]),
    );
    expect(summary?.samples).toBe(2);
    expect(summary?.tokensPerSecond.value).toBeGreaterThan(0);
  });

  test('refuses a number where more layers were not slower', () => {
    const record = sampled([
      [4, [8e8, 8e8]],
      [8, [8e8, 8e8]],
    ]);
    expect(summariseOrExplain(record)).toEqual({
      summary: null,
      reason: expect.stringMatching(/4 and 8 layers show no cost per layer/),
    });
    expect(fullSamplesNanoseconds(record)).toBeNull();
  });

  test('refuses a number where the noise is larger than the layers', () => {
    const record = sampled([
      [4, [1e8, 1e8, 9e8]],
      [8, [2e8, 2e8, 2e8]],
    ]);
    expect(summariseOrExplain(record).reason).toMatch(/scatter more than a layer costs/);
  });

  test('refuses a single number of layers', () => {
    expect(summariseOrExplain(sampled([[4, [1e8, 1e8]]])).reason).toMatch(/two different numbers of layers/);
  });
});

describe('records without a number', () => {
  test('give null and the reason of their failure', () => {
    const record = exampleRecord(failedWith('out-of-memory', 'It did not fit.'));
    expect(summarise(record)).toBeNull();
    expect(summariseOrExplain(record).reason).toBe('It did not fit.');
  });

  test('are those with a repetition that took no time', () => {
    const record = exampleRecord({ exampleRuns: [{ layers: null, samplesNanoseconds: [0, 1] }] });
    expect(summarise(record)).toBeNull();
  });
});
