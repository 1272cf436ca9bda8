import type { StreamOperation } from '../../engine/index.ts';
import { flopPerSecond, type BytesPerSecond, type FlopPerSecond } from '../../units/index.ts';
import type { BandwidthLevel } from './bandwidth.ts';
import type { GemmResult } from './gemm-result.ts';

/**
 * A roofline (Williams, Waterman and Patterson 2009): what a machine can do at most, over the operations that are made
 * of each byte.
 */
export interface Roofline {
  readonly roofs: readonly { readonly label: string; readonly rate: FlopPerSecond }[];
  /** `memory` last. */
  readonly slopes: readonly { readonly label: string; readonly rate: BytesPerSecond }[];
  /** Where each roof meets the slope of memory. */
  readonly ridges: readonly { readonly roof: string; readonly flopPerByte: number }[];
  readonly points: readonly RooflinePoint[];
}

/** A model's test. */
export interface RooflinePoint {
  readonly label: string;
  readonly kind: 'pp' | 'tg';
  readonly flopPerByte: number;
  readonly rate: FlopPerSecond;
}

/** A measured model in the terms of the roofline. */
export interface MeasuredSpeed {
  readonly name: string;
  readonly kind: 'pp' | 'tg';
  readonly tokensPerSecond: number;
  /** Parameters that take part in each token. */
  readonly activeParameters: number;
  /** Bytes of weights that one pass over the model reads. */
  readonly weightBytes: number;
  /** Tokens that share one pass: the physical batch of a prompt, 1 in generation. */
  readonly tokensPerPass: number;
}

/** The slope of generation: weights are read and next to nothing is written. */
const SLOPE_OPERATION: StreamOperation = 'read';

export function roofline(
  gemm: readonly GemmResult[],
  levels: readonly BandwidthLevel[],
  speeds: readonly MeasuredSpeed[],
): Roofline {
  const roofs = gemm.map(({ by, type, environment, best, steady }) => ({
    label: [by === 'torch' ? `torch ${type}` : type, ...Object.values(environment)].join(' '),
    // A roof is what can be kept up; where the rate did not settle, the best that was seen.
    rate: steady?.sustained ?? best.rate.value,
  }));
  const slopes = levels.flatMap(({ name, rates }) => {
    const rate = rates[SLOPE_OPERATION]?.value;
    return rate === undefined ? [] : [{ label: name, rate }];
  });
  const memory = slopes.find(({ label }) => label === 'memory');
  return {
    roofs,
    slopes,
    ridges:
      memory === undefined
        ? []
        : roofs.map(({ label, rate }) => ({ roof: label, flopPerByte: rate / memory.rate })),
    points: speeds.map(pointOf),
  };
}

/** Two operations for each active parameter and token; the weights are read once for all tokens of a pass. */
function pointOf(speed: MeasuredSpeed): RooflinePoint {
  const { name, kind, tokensPerSecond, activeParameters, weightBytes, tokensPerPass } = speed;
  return {
    label: `${name} ${kind}`,
    kind,
    flopPerByte: (2 * activeParameters * tokensPerPass) / weightBytes,
    rate: flopPerSecond(2 * activeParameters * tokensPerSecond),
  };
}

/** What a roof and a slope allow at an intensity. */
export function attainable(roof: FlopPerSecond, slope: BytesPerSecond, flopPerByte: number): FlopPerSecond {
  return flopPerSecond(Math.min(roof, slope * flopPerByte));
}
