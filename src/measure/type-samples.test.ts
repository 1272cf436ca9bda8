import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../catalog/host/index.ts';
import { shapeOf, type GgmlTypeName } from '../model/index.ts';
import { bytesPerSecond, flopPerSecond, seconds } from '../units/index.ts';
import {
  besideReference,
  sampledRates,
  typeSamples,
  withSampledRates,
  type SampleRound,
  type TypeSample,
} from './type-samples.ts';

const NONE = seconds(0);
const record = readModelRecords().find(({ id }) => id === 'smollm2-1.7b');
if (record === undefined) throw new Error('no such model');
const shape = shapeOf(record);

describe('the samples of types', () => {
  it('are layers whose bytes are those of the type, or nearly', () => {
    const samples = typeSamples(shape, ['Q8_0', 'Q4_K', 'Q2_K', 'MXFP4']);
    expect(samples.map(({ type }) => type)).toEqual(['Q8_0', 'Q4_K', 'Q2_K']);
    for (const { type, bytesBetween } of samples) {
      const all = [...bytesBetween.values()].reduce((sum, each) => sum + each, 0);
      expect((bytesBetween.get(type) ?? 0) / all).toBeGreaterThan(0.9);
    }
    // Eight layers of 67,108,864 weights at 34 bytes for 32.
    expect(samples[0]?.bytesBetween.get('Q8_0')).toBe((8 * 67_108_864 * 34) / 32);
  });
});

describe('the rates of types in a model', () => {
  const of = (type: GgmlTypeName, rate: number) => ({
    type,
    flopPerSecond: flopPerSecond(1e11),
    bytesPerSecond: bytesPerSecond(rate),
  });
  const truth: Partial<Record<GgmlTypeName, number>> = { Q8_0: 26e9, Q4_K: 35e9, Q5_K: 28e9 };
  const samples = typeSamples(shape, ['Q4_K', 'Q5_K', 'Q8_0']);
  const roundOf = ({ bytesBetween }: TypeSample, slow = 1): SampleRound => {
    let between = 0;
    for (const [type, bytes] of bytesBetween) between += bytes / (truth[type as GgmlTypeName] ?? Number.NaN);
    return [0.005 * slow, (0.005 + between) * slow];
  };

  it('are what the layers between two files take, whatever the rest does', () => {
    const rates = sampledRates(
      samples.map((sample) => ({ sample, rounds: [roundOf(sample)] })),
      NONE,
    );
    for (const [type, rate] of Object.entries(truth)) expect(rates.get(type)).toBeCloseTo(rate, -3);
  });

  it('are of the weights alone: what a layer takes besides is no part of them', () => {
    const launch = seconds(60e-6);
    const slower = ([few, many]: SampleRound): SampleRound => [few + 2 * launch, many + 10 * launch];
    const rates = sampledRates(
      samples.map((sample) => ({ sample, rounds: [slower(roundOf(sample))] })),
      launch,
    );
    for (const [type, rate] of Object.entries(truth)) expect(rates.get(type)).toBeCloseTo(rate, -3);
  });

  it('are of the usual round', () => {
    const rates = sampledRates(
      samples.map((sample) => ({
        sample,
        rounds: [roundOf(sample, 4), roundOf(sample), roundOf(sample, 0.9), roundOf(sample), roundOf(sample)],
      })),
      NONE,
    );
    expect(rates.get('Q8_0')).toBeCloseTo(26e9, -3);
  });

  it('of types timed in other minutes are those of the usual minute', () => {
    const [reference, ...others] = samples;
    if (reference === undefined) throw new Error('no sample');
    // The machine was half as fast while the second type was timed.
    const timed = others.map((sample, at) => ({
      sample,
      rounds: [roundOf(sample, at + 1)],
      beside: at === 0 ? [roundOf(reference), roundOf(reference)] : [roundOf(reference, 2)],
    }));
    const rates = sampledRates(besideReference(reference, timed), NONE);
    for (const [type, rate] of Object.entries(truth)) expect(rates.get(type)).toBeCloseTo(rate, -3);
  });

  it('are not told where the larger file was no slower', () => {
    const [sample] = samples;
    if (sample === undefined) throw new Error('no sample');
    expect(sampledRates([{ sample, rounds: [[0.02, 0.01]] }], NONE).size).toBe(0);
  });

  it('replace those of single products, and tell what types without a sample lose', () => {
    const rates = withSampledRates([of('Q8_0', 40e9), of('MXFP4', 30e9)], new Map([['Q8_0', 26e9]]));
    expect(rates.map((rate) => rate.bytesPerSecond)).toEqual([26e9, 30e9 * (26 / 40)]);
    expect(rates.map((rate) => rate.flopPerSecond)).toEqual([1e11, 1e11]);
  });

  it('that other programs disturbed are not believed: the type loses what the others lose', () => {
    const sampled = new Map([
      ['Q8_0', 5.5e9],
      ['Q4_K', 30e9],
    ]);
    const rates = withSampledRates([of('Q8_0', 40e9), of('Q4_K', 40e9)], sampled);
    expect(rates.map((rate) => rate.bytesPerSecond)).toEqual([30e9, 30e9]);
  });
});
