/** The face of `units`: what the other rooms may use, by name. */
export {
  GIB,
  KIB,
  MIB,
  bytes,
  bytesPerSecond,
  celsius,
  flopPerSecond,
  fraction,
  hertz,
  nanoseconds,
  seconds,
  toSeconds,
  tokensPerSecond,
  watts,
} from './quantity.ts';
export type {
  Bytes,
  BytesPerSecond,
  Celsius,
  FlopPerSecond,
  Fraction,
  Hertz,
  Nanoseconds,
  Seconds,
  TokensPerSecond,
  Watts,
} from './quantity.ts';
export {
  formatBandwidth,
  formatBytes,
  formatFlopPerSecond,
  formatFraction,
  formatSeconds,
  formatSignificant,
  formatTokensPerSecond,
} from './format.ts';
export { parseBytes } from './parse.ts';
