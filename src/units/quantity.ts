/**
 * Quantities in base units, as branded numbers: the brand is the unit, so that bytes are never added to
 * seconds by accident. JSON keys carry the unit as a suffix (`kvCacheBytes`, `bandwidthBytesPerSecond`).
 */

declare const unit: unique symbol;
type Quantity<Unit extends string> = number & { readonly [unit]: Unit };

/** Memory or storage, in bytes. */
export type Bytes = Quantity<'B'>;
/** A transfer rate, in bytes per second. */
export type BytesPerSecond = Quantity<'B/s'>;
/** A rate of floating-point operations, in FLOP/s; a fused multiply-add counts as two. */
export type FlopPerSecond = Quantity<'FLOP/s'>;
/** A time span, in seconds. */
export type Seconds = Quantity<'s'>;
/** A time span, in nanoseconds: the unit in which raw samples are kept, as llama-bench keeps them. */
export type Nanoseconds = Quantity<'ns'>;
/** A rate of prompt processing or text generation, in tokens per second. */
export type TokensPerSecond = Quantity<'tokens/s'>;
/** A power, in watts. */
export type Watts = Quantity<'W'>;
/** A frequency, in hertz. */
export type Hertz = Quantity<'Hz'>;
/** A dimensionless share; 1 is the whole. */
export type Fraction = Quantity<'1'>;

/** The only constructors: a plain number enters the typed world through one of these, next to its source. */
export const bytes = (value: number): Bytes => value as Bytes;
export const bytesPerSecond = (value: number): BytesPerSecond => value as BytesPerSecond;
export const flopPerSecond = (value: number): FlopPerSecond => value as FlopPerSecond;
export const seconds = (value: number): Seconds => value as Seconds;
export const nanoseconds = (value: number): Nanoseconds => value as Nanoseconds;
export const tokensPerSecond = (value: number): TokensPerSecond => value as TokensPerSecond;
export const watts = (value: number): Watts => value as Watts;
export const hertz = (value: number): Hertz => value as Hertz;
export const fraction = (value: number): Fraction => value as Fraction;

export const KIB = bytes(2 ** 10);
export const MIB = bytes(2 ** 20);
export const GIB = bytes(2 ** 30);
