import type { Configuration } from './configuration.ts';
import type { MeasuredAttention, Roofs } from './device.ts';
import { vectorRoof } from './terms.ts';

/** Bytes of a value in the cache that attention was measured with: F16. */
const CACHED_BYTES = 2;

/** Multiples of the times at the roof that reading the cache, and attending to it, take. */
export interface AttentionUnits {
  readonly cache: number;
  readonly attention: number;
}

/**
 * What a new token's attention takes where it was measured. On a processor every query head goes through the rows of
 * its head of the cache alone, a product, an exponential and a sum of a few hundred instructions for each
 * (`ggml_compute_forward_flash_attn_ext_f16_one_chunk`, ggml-cpu/ops.cpp v0.5.0): the first that reads a row waits for
 * the memory, as the rows of a head lie as far apart as all heads of a token take; those that share the head find it in
 * a cache. How long the first waits no bandwidth tells, and no rule tells it from one length to the next: heads of 128
 * values took 5 times as long as those of 64 on a Zen 4, heads of 256 no longer, and heads of 96 three times as long as
 * those of 128.
 * @returns null: it was not measured, or something else runs.
 */
export function attentionUnits(configuration: Configuration, roofs: Roofs): AttentionUnits | null {
  const rates = configuration.device.measuredAttention;
  if (rates === undefined || rates.length === 0 || !configuration.flashAttention) return null;
  const bandwidth = roofs.bandwidthBytesPerSecond;
  const measured = { cache: 0, attention: 0 };
  const atRoof = { cache: 0, attention: 0 };
  // All layers count as if they looked back alike: lengths of heads that differ from layer to layer are rare.
  for (const group of configuration.work.attention) {
    const { layers, heads, keyValueHeads, keyValues, valueValues, multiplications } = group;
    const { firstHeadSeconds, furtherHeadSeconds } = rateOf(
      multiplications / heads / 2,
      keyValueHeads,
      rates,
    );
    measured.cache += layers * keyValueHeads * Math.max(0, firstHeadSeconds - furtherHeadSeconds);
    measured.attention += layers * heads * furtherHeadSeconds;
    atRoof.cache += (layers * CACHED_BYTES * (keyValues + valueValues)) / bandwidth;
    atRoof.attention += (2 * layers * multiplications) / vectorRoof(configuration, roofs);
  }
  return {
    cache: atRoof.cache === 0 ? 1 : measured.cache / atRoof.cache,
    attention: atRoof.attention === 0 ? 1 : measured.attention / atRoof.attention,
  };
}

type Rate = Pick<MeasuredAttention, 'firstHeadSeconds' | 'furtherHeadSeconds'>;

/** The rates of a length of heads: between measured lengths on a line, beyond them in proportion. */
function rateOf(headLength: number, keyValueHeads: number, rates: readonly MeasuredAttention[]): Rate {
  const lengths = [...new Set(rates.map((rate) => rate.headLength))].sort((a, b) => a - b);
  const above = lengths.find((length) => length >= headLength);
  const below = lengths.findLast((length) => length <= headLength);
  const of = (length: number): Rate =>
    rateOfHeads(
      keyValueHeads,
      rates.filter((rate) => rate.headLength === length),
    );
  if (above !== undefined && below !== undefined) {
    const share = above === below ? 0 : (headLength - below) / (above - below);
    return between(of(below), of(above), share);
  }
  const nearest = below ?? above;
  if (nearest === undefined) throw new RangeError('a measured device has no rate of attention');
  const { firstHeadSeconds, furtherHeadSeconds } = of(nearest);
  const factor = headLength / nearest;
  return { firstHeadSeconds: firstHeadSeconds * factor, furtherHeadSeconds: furtherHeadSeconds * factor };
}

/** Between measured numbers of heads on a line by their logarithms, beyond them as at the nearest. */
function rateOfHeads(keyValueHeads: number, rates: readonly MeasuredAttention[]): Rate {
  const sorted = rates.toSorted((a, b) => a.keyValueHeads - b.keyValueHeads);
  const above = sorted.find((rate) => rate.keyValueHeads >= keyValueHeads) ?? sorted.at(-1);
  const below = sorted.findLast((rate) => rate.keyValueHeads <= keyValueHeads) ?? sorted[0];
  if (above === undefined || below === undefined)
    throw new RangeError('a measured device has no rate of attention');
  const [from, to] = [below.keyValueHeads, above.keyValueHeads];
  return between(below, above, from >= to ? 0 : Math.log(keyValueHeads / from) / Math.log(to / from));
}

const between = (a: Rate, b: Rate, share: number): Rate => ({
  firstHeadSeconds: a.firstHeadSeconds + share * (b.firstHeadSeconds - a.firstHeadSeconds),
  furtherHeadSeconds: a.furtherHeadSeconds + share * (b.furtherHeadSeconds - a.furtherHeadSeconds),
});
