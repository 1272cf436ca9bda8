import { bytes, MIB, type Bytes } from '../../units/index.ts';
import { readFrom, unknown, known, type Fact } from '../fact.ts';
import type { CpuFeature } from '../facts.ts';
import { parseCount, parseDecimal, parsePairs } from './lists.ts';

/** Names of sysctl for what ggml chooses kernels by. Source: Apple, "Determining instruction set characteristics". */
const FEATURES: Readonly<Record<string, CpuFeature>> = {
  'hw.optional.arm.AdvSIMD': 'neon',
  'hw.optional.neon': 'neon',
  'hw.optional.arm.FEAT_FP16': 'fp16',
  'hw.optional.arm.FEAT_DotProd': 'dotprod',
  'hw.optional.arm.FEAT_I8MM': 'i8mm',
  'hw.optional.arm.FEAT_BF16': 'bf16',
  'hw.optional.arm.FEAT_SME': 'sme',
  'hw.optional.sse4_2': 'sse4_2',
  'hw.optional.avx1_0': 'avx',
  'hw.optional.avx2_0': 'avx2',
  'hw.optional.fma': 'fma',
  'hw.optional.f16c': 'f16c',
  'hw.optional.avx512f': 'avx512f',
};

export interface SwapUsage {
  readonly totalBytes: Fact<Bytes>;
  readonly freeBytes: Fact<Bytes>;
}

/** A reader of `sysctl NAME...`, which prints `name: value` lines. */
export class Sysctl {
  readonly #output: Fact<string>;
  readonly #pairs: ReadonlyMap<string, string>;

  constructor(output: Fact<string>) {
    this.#output = output;
    this.#pairs = output.known ? parsePairs(output.value, ':') : new Map();
  }

  text(name: string): Fact<string> {
    return readFrom(this.#output, name, () => this.#pairs.get(name) || undefined);
  }

  count(name: string): Fact<number> {
    return readFrom(this.#output, name, () => parseCount(this.#pairs.get(name) ?? ''));
  }

  bytes(name: string): Fact<Bytes> {
    return readFrom(this.count(name), '', bytes);
  }

  flag(name: string): Fact<boolean> {
    return readFrom(this.count(name), '', (value) => value !== 0);
  }

  features(): Fact<CpuFeature[]> {
    return readFrom(this.#output, 'hw.optional', () => {
      if (![...this.#pairs.keys()].some((name) => name.startsWith('hw.optional'))) return undefined;
      const found = Object.entries(FEATURES).filter(([name]) => this.#pairs.get(name) === '1');
      return [...new Set(found.map(([, feature]) => feature))];
    });
  }

  /** The sum over the kinds of cores of a cache that each `cores` or `cpusperl2` of them has. */
  cacheTotal(cache: 'l1dcachesize' | 'l2cachesize'): Fact<Bytes> {
    const whole = this.bytes(`hw.${cache}`);
    return readFrom(this.#output, `hw.perflevel<n>.${cache}`, () => {
      let total = 0;
      for (let level = 0; ; level += 1) {
        const read = (name: string): number | undefined =>
          parseCount(this.#pairs.get(`hw.perflevel${level}.${name}`) ?? '');
        const size = read(cache);
        const cores = read('physicalcpu');
        if (size === undefined || cores === undefined) break;
        total += size * (cache === 'l1dcachesize' ? cores : Math.ceil(cores / (read('cpusperl2') ?? 1)));
      }
      if (total > 0) return bytes(total);
      const cores = parseCount(this.#pairs.get('hw.physicalcpu') ?? '');
      return whole.known && cores !== undefined ? bytes(whole.value * cores) : undefined;
    });
  }

  /** `vm.swapusage: total = 2048.00M  used = 1024.00M  free = 1024.00M  (encrypted)`. */
  swap(): SwapUsage {
    const read = (name: string): Fact<Bytes> =>
      readFrom(this.text('vm.swapusage'), name, (text) => {
        const mebibytes = parseDecimal(new RegExp(`${name} = ([\\d.]+)M`).exec(text)?.[1] ?? '');
        return mebibytes === undefined ? undefined : bytes(Math.round(mebibytes * MIB));
      });
    return { totalBytes: read('total'), freeBytes: read('free') };
  }
}

/**
 * Memory that could be had, from `vm_stat`: free, inactive, speculative and purgeable pages, as Activity Monitor
 * counts what is not used.
 */
export function parseVmStat(output: Fact<string>): Fact<Bytes> {
  return readFrom(output, 'free + inactive + speculative + purgeable', (text) => {
    const size = parseCount(/page size of (\d+) bytes/.exec(text)?.[1] ?? '');
    const pairs = parsePairs(text, ':');
    let pages = 0;
    for (const name of ['Pages free', 'Pages inactive', 'Pages speculative', 'Pages purgeable']) {
      const value = parseCount((pairs.get(name) ?? '').replace('.', ''));
      if (value === undefined) return undefined;
      pages += value;
    }
    return size === undefined ? undefined : bytes(pages * size);
  });
}

/** Reads a numeric setting of `pmset -g`. `lowpowermode 1`, or since macOS 15 `powermode 1`, is the low power mode. */
export function parseLowPowerMode(output: Fact<string>): Fact<boolean> {
  return readFrom(output, 'lowpowermode, powermode', (text) => {
    const value = /^\s*(?:lowpowermode|powermode)\s+(\d)/m.exec(text)?.[1];
    return value === undefined ? undefined : value === '1';
  });
}

/** Reads `pmset -g batt`: `Now drawing from 'AC Power'`. */
export function parsePowerSource(output: Fact<string>): Fact<string> {
  if (!output.known) return output;
  if (output.value.includes("'AC Power'")) return known('mains', output.source);
  if (output.value.includes("'Battery Power'")) return known('battery', output.source);
  return unknown('names neither AC power nor a battery', output.source);
}
