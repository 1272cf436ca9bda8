import type { Fit, FitVerdict, SharedRemedies, SplitFit } from '../advise/index.ts';
import type { MemoryKind, MemoryLine } from '../model/index.ts';
import { bytes, formatBytes, GIB, type Bytes } from '../units/index.ts';

/** A line of the table: what, on each GPU, in the system's memory. */
type FitRow = readonly [what: string, ...places: readonly string[]];

const KIND_NAMES: Readonly<Record<MemoryKind, string>> = {
  weights: 'weights',
  'kv-cache': 'KV cache',
  'recurrent-state': 'recurrent state',
  compute: 'compute buffers',
  output: 'logits for the caller',
  'draft-cache': 'KV cache to draft with',
  'draft-compute': 'compute buffers to draft with',
  projector: 'mmproj',
};

/** The places that a model takes memory in: the GPUs that there are, and the system's memory. */
export function fitPlaces({ breakdown }: Fit): string[] {
  const { eachDeviceBytes, deviceBytes } = breakdown;
  if (deviceBytes === 0) return ['system memory'];
  const gpus = eachDeviceBytes.length === 1 ? ['GPU'] : eachDeviceBytes.map((_, device) => `GPU ${device}`);
  return [...gpus, 'system memory'];
}

/** The breakdown as rows, what takes nothing left out, with the sum; the columns are {@link fitPlaces}. */
export function fitRows({ breakdown }: Fit): FitRow[] {
  const amount = (size: Bytes): string => (size === 0 ? '' : formatBytes(size));
  const amounts = ({
    eachDeviceBytes,
    hostBytes,
  }: Pick<MemoryLine, 'eachDeviceBytes' | 'hostBytes'>): string[] =>
    (breakdown.deviceBytes > 0 ? [...eachDeviceBytes, hostBytes] : [hostBytes]).map(amount);
  return [
    ...breakdown.lines
      .filter(({ deviceBytes, hostBytes }) => deviceBytes + hostBytes > 0)
      .map((line): FitRow => [KIND_NAMES[line.kind], ...amounts(line)]),
    ['together', ...amounts(breakdown)],
  ];
}

/** One letter of the bar for each kind, told apart without colour. */
const BAR_LETTERS: Readonly<Record<MemoryKind, string>> = {
  weights: '█',
  'kv-cache': '▓',
  'recurrent-state': '▒',
  compute: '░',
  output: '░',
  'draft-cache': '▓',
  'draft-compute': '░',
  projector: '█',
};
const BAR_WIDTH = 60;

/**
 * Where the model lies in what is available: a bar for each GPU, as wide as the larger of the two, with what is free as
 * dots, and a mark where what is available ends.
 */
export function fitBars({ breakdown, availableBytes, eachAvailableBytes }: Fit): string[] {
  const { eachDeviceBytes, deviceBytes, lines } = breakdown;
  if (deviceBytes === 0) {
    return [
      bar(
        lines.map(({ kind, hostBytes }) => [kind, hostBytes]),
        availableBytes,
      ),
    ];
  }
  return eachDeviceBytes.map((_, device) => {
    const parts = lines.map((line): BarPart => [line.kind, line.eachDeviceBytes[device] ?? 0]);
    const name = eachDeviceBytes.length === 1 ? '' : `GPU ${device}  `;
    return `${name}${bar(parts, eachAvailableBytes?.[device] ?? availableBytes)}`;
  });
}

type BarPart = readonly [kind: MemoryKind, bytes: number];

function bar(parts: readonly BarPart[], available: Bytes | null): string {
  const taken = parts.reduce((sum, [, size]) => sum + size, 0);
  const whole = Math.max(taken, available ?? 0);
  const cells = (size: number): number => Math.round((size / whole) * BAR_WIDTH);
  let filled = '';
  let reached = 0;
  for (const [kind, size] of parts) {
    reached += size;
    filled = filled.padEnd(cells(reached), BAR_LETTERS[kind]);
  }
  const drawn = filled.padEnd(BAR_WIDTH, '·');
  if (available === null) return `${drawn}  ${formatBytes(bytes(taken))}`;
  const limit = cells(available);
  const marked = limit >= BAR_WIDTH ? `${drawn}|` : `${drawn.slice(0, limit)}|${drawn.slice(limit)}`;
  return `${marked}  ${formatBytes(bytes(taken))} of ${formatBytes(available)}`;
}

export const FIT_BAR_KEY = '█ weights  ▓ KV cache  ▒ state  ░ compute  · free  | the end of what there is';

/** The judgement in a sentence. */
export function fitSentence(fit: Fit, contextTokens: number): string | null {
  const { verdict, longestContextTokens, largestMix, reduced } = fit;
  if (verdict === null) return null;
  const context = `${contextTokens} tokens`;
  if (verdict === 'fits') return fittingSentence(fit, context);
  const reason =
    verdict === 'starves'
      ? `Loads with a context of ${context}, but leaves the rest of the system too little.`
      : `Does not fit with a context of ${context}.`;
  const remedies = [
    ...(longestContextTokens === null
      ? []
      : [`a context of up to ${longestContextTokens} tokens fits${asItIs(fit)}`]),
    ...(largestMix === null ? [] : [`at this context ${largestMix} fits${mixAsItIs(fit)}`]),
    ...(reduced === null
      ? []
      : [
          `${reduced.mix} with a context of up to ${reduced.contextTokens} tokens fits, in ${formatBytes(reduced.breakdown.totalBytes)}`,
        ]),
  ];
  return remedies.length === 0 ? reason : `${reason} But ${remedies.join(', and ')}.`;
}

function fittingSentence({ sharing, splits }: Fit, context: string): string {
  if (sharing === null || splits.length < 2) return `Fits, with a context of ${context}.`;
  if (sharing.verdict === 'fits') return `Fits ${sharing.setting}, with a context of ${context}.`;
  const remedies = sharing.remedies === null ? [] : remedyTexts(sharing.remedies);
  const how = remedies.length === 0 ? 'one of the divisions below' : remedies.join(', or ');
  return `Fits only with ${how}. With a context of ${context} it does not ${sharing.setting}.`;
}

function remedyTexts(remedies: SharedRemedies): string[] {
  const { carveOutBytes, isLargerCarveOutEnough, ttmLimitPages, iogpuLimitMib } = remedies;
  const orMore = isLargerCarveOutEnough ? ' or more' : '';
  return [
    ...(carveOutBytes === null
      ? []
      : [`a carve-out of ${Math.round(carveOutBytes / GIB)} GB${orMore} in the firmware`]),
    ...(ttmLimitPages === null
      ? []
      : [
          `ttm.pages_limit=${ttmLimitPages} or more (pages of 4 KiB) on the command line of the Linux kernel`,
        ]),
    ...(iogpuLimitMib === null ? [] : [`sudo sysctl iogpu.wired_limit_mb=${iogpuLimitMib} or more`]),
  ];
}

const ENLARGED = ' with as much memory for the GPU as the system can spare';

/** How long a context may be with the memory divided as it is, where that is shorter; else nothing. */
function asItIs({ sharing, splits, longestContextTokens }: Fit): string {
  const current = splits[0]?.longestContextTokens ?? null;
  if (sharing === null || splits.length === 0 || current === longestContextTokens) return '';
  const now = current === null ? 'none does' : `${current} do`;
  return `${ENLARGED} (${sharing.setting} ${now})`;
}

const mixAsItIs = ({ sharing }: Fit): string => (sharing?.holdsLargestMix === false ? ENLARGED : '');

/** How far contexts and quantisations may grow where the wanted ones fit. */
export function roomSentences(fit: Fit, contextTokens: number): string[] {
  const { verdict, longestContextTokens, largestMix } = fit;
  if (verdict !== 'fits') return [];
  return [
    // A longer one than the model was trained for is not looked for: the note on the context says so.
    ...(longestContextTokens === null || longestContextTokens < contextTokens
      ? []
      : [`The longest context that fits is ${longestContextTokens} tokens${asItIs(fit)}.`]),
    ...(largestMix === null ? [] : [`The largest quantisation that fits is ${largestMix}${mixAsItIs(fit)}.`]),
  ];
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
