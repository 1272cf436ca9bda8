import { bytes, type Bytes } from './quantity.ts';

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/**
 * Parses a capacity as people write it: `20 GiB`, `64GB`, `512M`, `4096`. `GB` is 10^9 and `GiB` 2^30; the bare
 * letters K, M, G, T are binary, as `dd` and `lscpu` use them. Returns undefined for anything else.
 */
export function parseBytes(text: string): Bytes | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const factor = FACTORS[match[2].toLowerCase()];
  return factor === undefined ? undefined : bytes(Math.round(Number(match[1]) * factor));
}
