import { bytes, KIB, type Bytes } from '../../units/index.ts';
import { readFrom, type Fact } from '../fact.ts';
import { parsePairs } from './lists.ts';

export interface Meminfo {
  readonly totalBytes: Fact<Bytes>;
  readonly availableBytes: Fact<Bytes>;
  readonly swapTotalBytes: Fact<Bytes>;
  readonly swapFreeBytes: Fact<Bytes>;
}

/** Reads /proc/meminfo, whose `kB` are KiB. Source: Linux, Documentation/filesystems/proc.rst. */
export function parseMeminfo(text: Fact<string>): Meminfo {
  const pairs = text.known ? parsePairs(text.value, ':') : new Map<string, string>();
  const read = (name: string): Fact<Bytes> =>
    readFrom(text, name, () => {
      const match = /^(\d+) kB$/.exec(pairs.get(name) ?? '');
      return match?.[1] === undefined ? undefined : bytes(Number(match[1]) * KIB);
    });
  return {
    totalBytes: read('MemTotal'),
    availableBytes: read('MemAvailable'),
    swapTotalBytes: read('SwapTotal'),
    swapFreeBytes: read('SwapFree'),
  };
}
