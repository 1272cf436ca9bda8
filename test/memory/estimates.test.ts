import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import {
  COMPUTE_BACKENDS,
  DEFAULT_CONTEXT,
  memoryOf,
  ON_DEVICE,
  shapeOf,
  tensorsOf,
  type MemoryKind,
  type MixName,
} from '../../src/model/index.ts';

const PAGE = readFileSync(new URL('../../docs/memory.md', import.meta.url), 'utf8');

/** LM Studio's estimates of GLM-4.7-Flash Q4_K_M, GB, beside which the page shows ours. */
const ESTIMATES: readonly (readonly [tokens: number, estimate: number])[] = [
  [16_384, 18.59],
  [65_536, 19.57],
  [202_752, 22.3],
];
/** What the page may be behind by where a graph is laid out a little otherwise, GB. */
const COMPUTE_TOLERANCE = 0.02;

/** The figures of the page's line about so many tokens: the estimate, then ours as in {@link ours}. */
function figuresOf(tokens: number): number[] {
  const line = PAGE.split('\n').find((each) => each.startsWith(`| ${tokens} |`));
  if (line === undefined) throw new Error(`the page has no line about ${tokens} tokens`);
  return line
    .split('|')
    .slice(2, 7)
    .map((cell) => Number(cell));
}

/** Ours in GB, as the page has it: weights, KV cache, compute buffers with the logits, all together. */
function ours(contextTokens: number, mix: MixName): number[] {
  const record = readModelRecords().find(({ id }) => id === 'glm-4.7-flash');
  if (record === undefined) throw new Error('the catalogue has no glm-4.7-flash');
  const shape = shapeOf(record);
  const breakdown = memoryOf(
    { shape, tensors: tensorsOf(shape, mix) },
    { ...DEFAULT_CONTEXT, contextTokens },
    ON_DEVICE,
    COMPUTE_BACKENDS.vulkan,
  );
  if ('unsupported' in breakdown) throw new Error(breakdown.unsupported);
  const sum = (...kinds: readonly MemoryKind[]): number =>
    breakdown.lines
      .filter(({ kind }) => kinds.includes(kind))
      .reduce((total, { deviceBytes, hostBytes }) => total + deviceBytes + hostBytes, 0);
  const amounts = [sum('weights'), sum('kv-cache'), sum('compute', 'output'), breakdown.totalBytes];
  return amounts.map((bytes) => Math.round(bytes / 1e7) / 100);
}

describe('the estimates of GLM-4.7-Flash on the page about memory', () => {
  it.each(ESTIMATES)('stand at %i tokens beside what fit says now', (tokens, published) => {
    const [estimate, weights, cache, compute = Number.NaN, together = Number.NaN] = figuresOf(tokens);
    const [weightsNow, cacheNow, computeNow = Number.NaN, togetherNow = Number.NaN] = ours(tokens, 'Q4_K_M');
    expect([estimate, weights, cache]).toEqual([published, weightsNow, cacheNow]);
    expect(Math.abs(compute - computeNow)).toBeLessThanOrEqual(COMPUTE_TOLERANCE);
    expect(Math.abs(together - togetherNow)).toBeLessThanOrEqual(COMPUTE_TOLERANCE);
  });

  it('say what Q6_K takes with 16384 tokens', () => {
    const said = /estimate\s25\.12\sfor\sa\sfile\sof\s24\.61,\shere\s(?<here>[\d.]+)\./.exec(PAGE);
    const [, , , now = Number.NaN] = ours(16_384, 'Q6_K');
    expect(Math.abs(Number(said?.groups?.['here']) - now)).toBeLessThanOrEqual(COMPUTE_TOLERANCE);
  });
});
