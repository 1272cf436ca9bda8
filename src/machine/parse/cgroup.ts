import { bytes, type Bytes } from '../../units/index.ts';
import { known, unknown, type Fact } from '../fact.ts';
import { parseCount } from './lists.ts';
import { textsOf, type FileFacts } from './cpu-topology.ts';

/**
 * Version 1 writes the largest multiple of the page size below 2^63 where no limit is set; any value of this size is
 * none. Source: Linux, mm/page_counter.c PAGE_COUNTER_MAX.
 */
const NO_LIMIT_BYTES = 2 ** 62;

/** The tightest memory limit of this control group and those above it (cgroup v2 memory.max, v1 limit_in_bytes). */
export function parseMemoryLimit(version2: FileFacts, version1: FileFacts): Fact<Bytes | 'unlimited'> {
  const { source, texts, reason } = whichever(version2, version1);
  if (texts.length === 0) return unknown(reason, source);
  const limits = texts.map(parseCount).filter((limit) => limit !== undefined && limit < NO_LIMIT_BYTES);
  const tightest = limits.reduce<number | undefined>(
    (least, limit) => (limit !== undefined && (least === undefined || limit < least) ? limit : least),
    undefined,
  );
  return known(tightest === undefined ? 'unlimited' : bytes(tightest), source);
}

/** The tightest processor quota of this control group and those above it, in processors (1.5: one and a half). */
export function parseCpuQuota(
  version2: FileFacts,
  quotas1: FileFacts,
  periods1: FileFacts,
): Fact<number | 'unlimited'> {
  const { source, texts, reason } = whichever(version2, quotas1);
  if (texts.length === 0) return unknown(reason, source);
  const periods = [...textsOf(periods1).values()];
  const shares = texts.flatMap((text, index) => {
    // Version 2 has `max 100000` or `150000 100000`; version 1 has -1 or the quota alone, the period beside it.
    const [quota, period] = text.split(/\s+/);
    const numerator = parseCount(quota ?? '');
    const denominator = parseCount(period ?? periods[index] ?? '');
    const limited = numerator !== undefined && denominator !== undefined && numerator > 0 && denominator > 0;
    return limited ? [numerator / denominator] : [];
  });
  return known(shares.length === 0 ? 'unlimited' : Math.min(...shares), source);
}

function whichever(
  version2: FileFacts,
  version1: FileFacts,
): {
  source: string;
  texts: readonly string[];
  reason: string;
} {
  for (const files of [version2, version1]) {
    const texts = [...textsOf(files).values()];
    if (texts.length > 0) return { source: files.source, texts, reason: '' };
  }
  const reason = [version2, version1]
    .map((files) => (files.known ? 'no file could be read' : files.reason))
    .join('; ');
  return { source: `${version2.source}, ${version1.source}`, texts: [], reason };
}
