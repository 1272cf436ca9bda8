import { sampleLayers, tensorsOf, type GgmlTypeName, type MixName, type ModelShape } from '../model/index.ts';
import { median, sortSamples } from '../stats/index.ts';
import { bytesPerSecond, type Seconds } from '../units/index.ts';
import type { TypeRates } from './ceilings.ts';

/** Some layers of one model in one type, run with two numbers of layers. */
export interface TypeSample {
  readonly type: GgmlTypeName;
  readonly mix: MixName;
  /** Full-model layer indices of the two files, the smaller first. */
  readonly layers: readonly [readonly number[], readonly number[]];
  /** Bytes, by type, that the larger file has in its layers beyond the smaller one's. */
  readonly bytesBetween: ReadonlyMap<string, number>;
}

/** The mix of files whose layers are of a type, or nearly. None is of MXFP4: it quantises experts alone. */
const MIX_OF: Partial<Record<GgmlTypeName, MixName>> = {
  F16: 'F16',
  BF16: 'BF16',
  Q8_0: 'Q8_0',
  Q6_K: 'Q6_K',
  Q5_K: 'Q5_K_S',
  Q4_K: 'Q4_K_S',
  Q4_0: 'Q4_0',
  IQ4_XS: 'IQ4_XS',
  Q3_K: 'Q3_K_S',
  IQ3_S: 'IQ3_S',
  Q2_K: 'Q2_K_S',
};
const FEW_LAYERS = 2;
/** Eight layers of 67 million weights lie between the two: more, in any type, than the last cache of most processors. */
const MANY_LAYERS = 10;

/** What is to be run of a model to learn how fast it reads weights of each type; types without a mix are left out. */
export function typeSamples(shape: ModelShape, types: readonly GgmlTypeName[]): TypeSample[] {
  return types.flatMap((type) => {
    const mix = MIX_OF[type];
    if (mix === undefined) return [];
    const few = sampleLayers(shape, mix, FEW_LAYERS);
    const many = sampleLayers(shape, mix, MANY_LAYERS);
    const bytesBetween = new Map<string, number>();
    for (const [layers, sign] of [
      [few, -1],
      [many, 1],
    ] as const) {
      for (const tensor of layerMatrices(shape, mix, layers)) {
        bytesBetween.set(tensor.type, (bytesBetween.get(tensor.type) ?? 0) + sign * tensor.bytes);
      }
    }
    return [{ type, mix, layers: [few, many] as const, bytesBetween }];
  });
}

function layerMatrices(
  shape: ModelShape,
  mix: MixName,
  layers: readonly number[],
): { readonly type: string; readonly bytes: number }[] {
  const wanted = new Set(layers);
  return tensorsOf(shape, mix).filter(({ name, dims }) => {
    const layer = /^blk\.(\d+)\./.exec(name)?.[1];
    return layer !== undefined && wanted.has(Number(layer)) && dims.length > 1;
  });
}

/** Seconds of a generated token with the smaller and with the larger file, of one round. */
export type SampleRound = readonly [few: number, many: number];

/** What was timed of a sample, round by round. */
export interface TimedSample {
  readonly sample: TypeSample;
  readonly rounds: readonly SampleRound[];
}

/** The same, with the rounds of a reference sample that took turns with it. */
export interface SampleBeside extends TimedSample {
  readonly beside: readonly SampleRound[];
}

/**
 * The reference sample and the others, each scaled to the minutes in which the reference was as fast as it usually is:
 * types that were timed one after the other on a machine that drifts become comparable.
 */
export function besideReference(reference: TypeSample, timed: readonly SampleBeside[]): TimedSample[] {
  const all = timed.flatMap(({ beside }) => beside);
  return [
    { sample: reference, rounds: all },
    ...timed.map(({ sample, rounds, beside }) => {
      const factor = usualTime(all) / usualTime(beside);
      return { sample, rounds: rounds.map(([few, many]): SampleRound => [few * factor, many * factor]) };
    }),
  ];
}

/** Of the larger file. */
const usualTime = (rounds: readonly SampleRound[]): number =>
  median(sortSamples(rounds.map(([, many]) => many)));

/**
 * Bytes per second of each type as a model reads them: what the layers between the two files hold by what they take.
 * A mix's other types are subtracted at their own rates; types whose layers cost nothing above the noise are left out.
 * @param launch - what a layer takes besides its weights.
 */
export function sampledRates(timed: readonly TimedSample[], launch: Seconds): ReadonlyMap<string, number> {
  const rates = new Map<string, number>();
  const purestFirst = timed.toSorted((a, b) => a.sample.bytesBetween.size - b.sample.bytesBetween.size);
  for (const { sample, rounds } of purestFirst) {
    if (rounds.length === 0) continue;
    // A round is one moment of a machine that drifts: only within it are the two files compared.
    const between = median(sortSamples(rounds.map(([few, many]) => many - few)));
    const [fewLayers, manyLayers] = sample.layers;
    let time = between - launch * (manyLayers.length - fewLayers.length);
    let unknown = 0;
    for (const [type, bytes] of sample.bytesBetween) {
      const rate = rates.get(type);
      if (type === sample.type || rate === undefined) unknown += bytes;
      else time -= bytes / rate;
    }
    if (time > 0) rates.set(sample.type, unknown / time);
  }
  return rates;
}

/**
 * What layers may reach of the rate of single products: 0.61 was the least on a machine with nothing else to do (two
 * cores of a Zen 4, Q8_0, 25 of 41 GB/s); the two are timed minutes apart, and machines drift. What lies outside tells
 * of other programs.
 */
const BELIEVABLE_SHARE = { least: 0.5, most: 1.5 } as const;

/**
 * Rates of products with those of generation replaced by what layers of models reach. Types without a sample, or with
 * one that is not believable, lose what the others lose.
 */
export function withSampledRates(
  types: readonly TypeRates[],
  sampled: ReadonlyMap<string, number>,
): readonly TypeRates[] {
  const shares = new Map<string, number>();
  for (const each of types) {
    const share = (sampled.get(each.type) ?? Number.NaN) / each.bytesPerSecond;
    if (share >= BELIEVABLE_SHARE.least && share <= BELIEVABLE_SHARE.most) shares.set(each.type, share);
  }
  const usual = shares.size === 0 ? 1 : median(sortSamples([...shares.values()]));
  return types.map((each) => ({
    ...each,
    bytesPerSecond: bytesPerSecond(each.bytesPerSecond * (shares.get(each.type) ?? usual)),
  }));
}
