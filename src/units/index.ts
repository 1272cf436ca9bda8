/** The face of `units`: what the other rooms may use, by name. */
export {
  GIB,
  KIB,
  MIB,
  bytes,
  bytesPerSecond,
  flopPerSecond,
  fraction,
  hertz,
  nanoseconds,
  seconds,
  tokensPerSecond,
  watts,
} from './quantity.ts';
export type {
  Bytes,
  BytesPerSecond,
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
} from './format.ts';
export { parseBytes } from './parse.ts';
