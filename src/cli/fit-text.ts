import type { Fit, FitVerdict, SplitFit } from '../advise/index.ts';
import type { MemoryKind } from '../model/index.ts';
import { bytes, formatBytes, type Bytes } from '../units/index.ts';

/** A line of the table: what, on the device, in the system's memory. */
type FitRow = readonly [what: string, device: string, host: string];

const KIND_NAMES: Readonly<Record<MemoryKind, string>> = {
  weights: 'weights',
  'kv-cache': 'KV cache',
  'recurrent-state': 'recurrent state',
  compute: 'compute buffers',
  output: 'logits for the caller',
};

/** The breakdown as rows, what takes nothing left out, with the sum. */
export function fitRows({ breakdown }: Fit): FitRow[] {
  const amount = (size: Bytes): string => (size === 0 ? '' : formatBytes(size));
  return [
    ...breakdown.lines
      .filter(({ deviceBytes, hostBytes }) => deviceBytes + hostBytes > 0)
      .map(({ kind, deviceBytes, hostBytes }): FitRow => [
        KIND_NAMES[kind],
        amount(deviceBytes),
        amount(hostBytes),
      ]),
    ['together', amount(breakdown.deviceBytes), amount(breakdown.hostBytes)],
  ];
}

/** One letter of the bar for each kind, told apart without colour. */
const BAR_LETTERS: Readonly<Record<MemoryKind, string>> = {
  weights: '█',
  'kv-cache': '▓',
  'recurrent-state': '▒',
  compute: '░',
  output: '░',
};
const BAR_WIDTH = 60;

/**
 * Where the model lies in what is available: a bar as wide as the larger of the two, with what is free as dots, and a
 * mark where what is available ends; then what the letters mean.
 */
export function fitBar({ breakdown, availableBytes }: Fit): string {
  const onDevice = breakdown.deviceBytes > 0;
  const taken = onDevice ? breakdown.deviceBytes : breakdown.hostBytes;
  const whole = Math.max(taken, availableBytes ?? 0);
  const cells = (size: number): number => Math.round((size / whole) * BAR_WIDTH);
  let filled = '';
  let reached = 0;
  for (const line of breakdown.lines) {
    reached += onDevice ? line.deviceBytes : line.hostBytes;
    filled = filled.padEnd(cells(reached), BAR_LETTERS[line.kind]);
  }
  const bar = filled.padEnd(BAR_WIDTH, '·');
  if (availableBytes === null) return `${bar}  ${formatBytes(bytes(taken))}`;
  const limit = cells(availableBytes);
  const marked = limit >= BAR_WIDTH ? `${bar}|` : `${bar.slice(0, limit)}|${bar.slice(limit)}`;
  return `${marked}  ${formatBytes(bytes(taken))} of ${formatBytes(availableBytes)}`;
}

export const FIT_BAR_KEY = '█ weights  ▓ KV cache  ▒ state  ░ compute  · free  | the end of what there is';

/** The judgement in a sentence. */
export function fitSentence(fit: Fit, contextTokens: number): string | null {
  const { verdict, longestContextTokens, largestMix } = fit;
  if (verdict === null) return null;
  const context = `${contextTokens} tokens`;
  if (verdict === 'fits') return `Fits, with a context of ${context}.`;
  const reason =
    verdict === 'starves'
      ? `Loads with a context of ${context}, but leaves the rest of the system too little.`
      : `Does not fit with a context of ${context}.`;
  const remedies = [
    ...(longestContextTokens === null ? [] : [`a context of up to ${longestContextTokens} tokens fits`]),
    ...(largestMix === null ? [] : [`at this context ${largestMix} fits`]),
  ];
  return remedies.length === 0 ? reason : `${reason} But ${remedies.join(', and ')}.`;
}

/** A line of the table of memory splits. */
type SplitRow = readonly [split: string, addressable: string, left: string, longest: string, verdict: string];

const VERDICTS: Readonly<Record<FitVerdict, string>> = {
  fits: 'fits',
  starves: 'starves the system',
  'does-not-fit': 'does not fit',
};

export function splitRows(splits: readonly SplitFit[]): SplitRow[] {
  return splits.map((each) => [
    each.split.name,
    formatBytes(each.addressableBytes),
    each.systemLeftBytes < 0
      ? `lacks ${formatBytes(bytes(-each.systemLeftBytes))}`
      : formatBytes(bytes(each.systemLeftBytes)),
    each.longestContextTokens === null ? 'none' : String(each.longestContextTokens),
    VERDICTS[each.verdict],
  ]);
}
