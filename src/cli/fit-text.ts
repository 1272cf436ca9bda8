import type { Fit, FitVerdict, SharedRemedies } from '../advise/index.ts';
import type { MemoryBreakdown, MemoryKind, MemoryLine } from '../model/index.ts';
import { bytes, formatBytes, GIB, type Bytes } from '../units/index.ts';

/** A table of {@link printTable}: the first column is text, the others are amounts. */
export interface FitTable {
  readonly titles: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

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

/** Names of the kinds over columns. */
const KIND_TITLES: Readonly<Record<MemoryKind, string>> = {
  weights: 'weights',
  'kv-cache': 'KV cache',
  'recurrent-state': 'state',
  compute: 'compute',
  output: 'logits',
  'draft-cache': 'draft KV',
  'draft-compute': 'draft compute',
  projector: 'mmproj',
};

/** The places that a model takes memory in: the GPUs that there are, and the system's memory. */
function placesOf({ eachDeviceBytes, deviceBytes }: MemoryBreakdown): string[] {
  if (deviceBytes === 0) return ['system memory'];
  const gpus = eachDeviceBytes.length === 1 ? ['GPU'] : eachDeviceBytes.map((_, device) => `GPU ${device}`);
  return [...gpus, 'system memory'];
}

/**
 * The breakdown as a table, what takes nothing left out, with the sum: a column for each place, or where a line has no
 * room for so many, a row.
 * @param lineWidth - characters of a line.
 */
export function fitTable({ breakdown }: Fit, lineWidth: number): FitTable {
  const amount = (size: Bytes): string => (size === 0 ? '' : formatBytes(size));
  const amounts = ({
    eachDeviceBytes,
    hostBytes,
  }: Pick<MemoryLine, 'eachDeviceBytes' | 'hostBytes'>): string[] =>
    (breakdown.deviceBytes > 0 ? [...eachDeviceBytes, hostBytes] : [hostBytes]).map(amount);
  const lines = breakdown.lines.filter(({ deviceBytes, hostBytes }) => deviceBytes + hostBytes > 0);
  const places = placesOf(breakdown);
  const byKind: FitTable = {
    titles: ['', ...places],
    rows: [
      ...lines.map((line) => [KIND_NAMES[line.kind], ...amounts(line)]),
      ['together', ...amounts(breakdown)],
    ],
  };
  if (widthOf(byKind) <= lineWidth) return byKind;
  const columns = [...lines.map(amounts), amounts(breakdown)];
  const byPlace: FitTable = {
    titles: ['', ...lines.map(({ kind }) => KIND_TITLES[kind]), 'together'],
    rows: places.map((place, index) => [place, ...columns.map((column) => column[index] ?? '')]),
  };
  return widthOf(byPlace) < widthOf(byKind) ? byPlace : byKind;
}

/** Between two columns of {@link printTable}. */
const COLUMN_GAP = 2;

function widthOf({ titles, rows }: FitTable): number {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return widths.reduce((sum, width) => sum + width, 0) + COLUMN_GAP * (widths.length - 1);
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
/** Cells of a bar: so many are enough, and with fewer nothing can be seen. */
const WIDEST_BAR = 60;
const NARROWEST_BAR = 10;

/**
 * Where the model lies in what is available: a bar for each GPU, as wide as the larger of the two, with what is free as
 * dots, and a mark where what is available ends.
 * @param lineWidth - characters of a line.
 */
export function fitBars(
  { breakdown, availableBytes, eachAvailableBytes, splits }: Fit,
  lineWidth: number,
): string[] {
  const { eachDeviceBytes, deviceBytes, lines } = breakdown;
  const isMost = splits.length > 1;
  const bars: Bar[] =
    deviceBytes === 0
      ? [
          {
            name: '',
            parts: lines.map(({ kind, hostBytes }) => [kind, hostBytes]),
            available: availableBytes,
            isMost,
          },
        ]
      : eachDeviceBytes.map((_, device) => ({
          name: eachDeviceBytes.length === 1 ? '' : `GPU ${device}  `,
          parts: lines.map((line) => [line.kind, line.eachDeviceBytes[device] ?? 0]),
          available: eachAvailableBytes?.[device] ?? availableBytes,
          isMost,
        }));
  const beside = Math.max(...bars.map((each) => each.name.length + MARK.length + sizesOf(each).length));
  const width = Math.min(WIDEST_BAR, Math.max(NARROWEST_BAR, lineWidth - beside));
  return bars.map((each) => `${each.name}${drawBar(each, width)}${sizesOf(each)}`);
}

interface Bar {
  readonly name: string;
  readonly parts: readonly (readonly [kind: MemoryKind, bytes: number])[];
  readonly available: Bytes | null;
  /** It is available with the best division of the memory, which need not be the present one. */
  readonly isMost: boolean;
}

const MARK = '|';

const takenBy = ({ parts }: Bar): Bytes => bytes(parts.reduce((sum, [, size]) => sum + size, 0));

function sizesOf(bar: Bar): string {
  const taken = formatBytes(takenBy(bar));
  if (bar.available === null) return `  ${taken}`;
  return `  ${taken} of ${bar.isMost ? 'up to ' : ''}${formatBytes(bar.available)}`;
}

function drawBar(bar: Bar, width: number): string {
  const { parts, available } = bar;
  const whole = Math.max(takenBy(bar), available ?? 0);
  const cells = (size: number): number => Math.round((size / whole) * width);
  let filled = '';
  let reached = 0;
  for (const [kind, size] of parts) {
    reached += size;
    filled = filled.padEnd(cells(reached), BAR_LETTERS[kind]);
  }
  const drawn = filled.padEnd(width, '·');
  if (available === null) return drawn;
  const limit = Math.min(cells(available), width);
  return `${drawn.slice(0, limit)}${MARK}${drawn.slice(limit)}`;
}

const BAR_KEY = [
  '█ weights',
  '▓ KV cache',
  '▒ state',
  '░ compute',
  '· free',
  `${MARK} the end of what there is`,
];

/** What the letters of the bars mean, in as many lines as it takes. */
export function fitBarKey(lineWidth: number): string[] {
  const lines: string[] = [];
  for (const each of BAR_KEY) {
    const last = lines.at(-1);
    const longer = last === undefined ? each : `${last}  ${each}`;
    if (last !== undefined && longer.length <= lineWidth) lines[lines.length - 1] = longer;
    else lines.push(each);
  }
  return lines;
}

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

const allTrained = ({ longestContextTokens, trainedContextTokens }: Fit): string =>
  longestContextTokens === trainedContextTokens ? ', all that the model was trained for' : '';

const mixAsItIs = ({ sharing }: Fit): string => (sharing?.holdsLargestMix === false ? ENLARGED : '');

/** How far contexts and quantisations may grow where the wanted ones fit. */
export function roomSentences(fit: Fit, contextTokens: number): string[] {
  const { verdict, longestContextTokens, largestMix } = fit;
  if (verdict !== 'fits') return [];
  return [
    // A longer one than the model was trained for is not looked for: the note on the context says so.
    ...(longestContextTokens === null || longestContextTokens < contextTokens
      ? []
      : [
          `The longest context that fits is ${longestContextTokens} tokens${[allTrained(fit), asItIs(fit)].filter(Boolean).join(',')}.`,
        ]),
    ...(largestMix === null ? [] : [`The largest quantisation that fits is ${largestMix}${mixAsItIs(fit)}.`]),
  ];
}

/** A line of the table of memory splits. */
type SplitRow = readonly [split: string, addressable: string, left: string, longest: string, verdict: string];

const VERDICTS: Readonly<Record<FitVerdict, string>> = {
  fits: 'fits',
  starves: 'starves system',
  'does-not-fit': 'does not fit',
};

/** How the longest context is marked that the model was trained for. */
const ALL_TRAINED = '(all)';

/** What {@link ALL_TRAINED} means, where it was used; null: no division holds such a context. */
export function splitNote({ splits, trainedContextTokens }: Fit): string | null {
  return splits.some(({ longestContextTokens }) => longestContextTokens === trainedContextTokens)
    ? `${ALL_TRAINED}: as long as the model was trained for; no longer one is looked for.`
    : null;
}

export function splitRows({ splits, trainedContextTokens }: Fit): SplitRow[] {
  const longest = (tokens: number | null): string =>
    tokens === null ? 'none' : tokens === trainedContextTokens ? `${tokens} ${ALL_TRAINED}` : String(tokens);
  return splits.map((each) => [
    each.split.name,
    formatBytes(each.addressableBytes),
    each.systemLeftBytes < 0
      ? `lacks ${formatBytes(bytes(-each.systemLeftBytes))}`
      : formatBytes(bytes(each.systemLeftBytes)),
    longest(each.longestContextTokens),
    VERDICTS[each.verdict],
  ]);
}
