import Table from 'cli-table3';
import { summariseOrExplain, type MeasurementRecord, type Range, type Summary } from '../measure/index.ts';
import { formatSignificant, type TokensPerSecond } from '../units/index.ts';
import { testName } from './test-name.ts';

/** Marks for parts of the table; each returns its text with or without terminal codes. */
export interface TablePalette {
  strong(text: string): string;
  faint(text: string): string;
  bad(text: string): string;
}

const PLAIN: TablePalette = { strong: (text) => text, faint: (text) => text, bad: (text) => text };

/** Columns of a terminal that everybody has, and of a page that is printed. */
const TABLE_WIDTH = 100;
/** Below this a sentence breaks after every other word. */
const LEAST_NOTE_WIDTH = 18;
/** One space on each side of a cell. */
const CELL_PADDING = 2;
const LONGEST_SETTING = 28;

/** What is the same for all points is said once above the table; what differs gets a column. */
const SETTINGS: readonly (readonly [name: string, read: (record: MeasurementRecord) => string])[] = [
  ['model', ({ model }) => modelName(model)],
  ['engine', ({ engine }) => engine.id],
  [
    'build',
    ({ engine }) =>
      engine.buildNumber === null ? engine.buildCommit : `${engine.buildCommit} (${engine.buildNumber})`,
  ],
  ['backend', ({ engine }) => engine.backends],
  ['device', ({ engine, machine }) => engine.gpuInfo || engine.cpuInfo || (machine.cpu ?? 'unknown')],
  ['machine state', ({ machine }) => machine.stateHash.slice(0, 8)],
  ['threads', ({ settings }) => String(settings.threads)],
  ['ngl', ({ settings }) => (settings.gpuLayers < 0 ? 'all' : String(settings.gpuLayers))],
  ['ncmoe', ({ settings }) => String(settings.cpuMoeLayers)],
  ['batch', ({ settings }) => String(settings.batchTokens)],
  ['ubatch', ({ settings }) => String(settings.ubatchTokens)],
  ['ctk', ({ settings }) => settings.cacheTypeK],
  ['ctv', ({ settings }) => settings.cacheTypeV],
  ['fa', ({ settings }) => settings.flashAttention],
];

/** Says nothing by itself: a hash without another beside it, and expert layers none of which were kept back. */
const isSilentAlone = (name: string, value: string): boolean =>
  name === 'machine state' || (name === 'ncmoe' && value === '0');

/** A setting column and what it shows of a record. */
interface SettingColumn {
  readonly name: string;
  readonly read: (record: MeasurementRecord) => string;
}

/**
 * Records as a table for people, at most 100 columns wide. Failures are rows with their outcome and sentence.
 * @param palette - terminal marks; none when left out.
 */
export function renderRecordTable(
  records: readonly MeasurementRecord[],
  palette: TablePalette = PLAIN,
): string {
  if (records.length === 0) return 'No records.\n';
  const columns: SettingColumn[] = [];
  const common: string[] = [];
  for (const [name, read] of SETTINGS) {
    const [value = '', ...others] = new Set(records.map(read));
    if (others.length > 0) columns.push({ name, read: (record) => shorten(read(record)) });
    else if (!isSilentAlone(name, value)) common.push(`${name} ${value}`);
  }
  return `${palette.faint(wrap(common))}\n\n${drawTable(records, columns, palette)}\n`;
}

const RESULT_HEADS = ['test', 'tokens/s', '95 % interval', 'n', 'note'] as const;

interface ResultRow {
  readonly settings: readonly string[];
  readonly test: string;
  /** null: a row without a number; the note then says why. */
  readonly numbers: readonly [rate: string, interval: string, samples: string] | null;
  readonly note: string;
}

function drawTable(
  records: readonly MeasurementRecord[],
  columns: readonly SettingColumn[],
  palette: TablePalette,
): string {
  const rows = records.map((record) => resultRow(record, columns));
  const heads = [...columns.map(({ name }) => name), ...RESULT_HEADS];
  const lead = rows.map((row) => [...row.settings, row.test]);
  const numbers = rows.map((row) => row.numbers ?? []);
  const fixed = heads.slice(0, -1).map((head, index) => {
    const inNumbers = index - columns.length - 1;
    const cells = inNumbers < 0 ? lead.map((row) => row[index]) : numbers.map((row) => row[inNumbers]);
    return Math.max(head.length, ...cells.map((cell) => cell?.length ?? 0)) + CELL_PADDING;
  });
  const widths = fitWidths(fixed);
  const table = new Table({
    head: heads.map((head) => palette.strong(head)),
    colWidths: widths,
    colAligns: heads.map((head) => (head === 'tokens/s' || head === 'n' ? 'right' : 'left')),
    wordWrap: true,
    style: { head: [], border: [], 'padding-left': 1, 'padding-right': 1 },
    chars: RULED_HEAD,
  });
  for (const row of rows) {
    const leading = [...row.settings, row.test];
    if (row.numbers === null) {
      table.push([
        ...leading,
        { colSpan: RESULT_HEADS.length - 1, content: palette.bad(row.note), hAlign: 'left' },
      ]);
    } else table.push([...leading, ...row.numbers, row.note]);
  }
  const lines = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  const headRule = lines.findIndex((line) => RULE.test(line));
  return lines.filter((line, index) => index === headRule || !RULE.test(line)).join('\n');
}

const RULE = /^─+$/;

/** No borders but a rule below the head; `drawTable` drops the rules between rows. */
const RULED_HEAD = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '─',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
} as const;

/** The note takes what is left; where too much differs, the widest columns give way and wrap. */
function fitWidths(fixed: readonly number[]): number[] {
  const widths = [...fixed];
  let left = TABLE_WIDTH - widths.reduce((sum, width) => sum + width, 0);
  while (left < LEAST_NOTE_WIDTH) {
    const widest = widths.indexOf(Math.max(...widths));
    widths[widest] = (widths[widest] ?? 0) - 1;
    left += 1;
  }
  return [...widths, left];
}

function resultRow(record: MeasurementRecord, columns: readonly SettingColumn[]): ResultRow {
  const settings = columns.map(({ read }) => read(record));
  const test = testName(record.test);
  const { summary, reason } = summariseOrExplain(record);
  if (summary === null) {
    const outcome = record.outcome === 'measured' ? 'no number' : record.outcome;
    return { settings, test, numbers: null, note: [`${outcome}: ${reason}`, ...record.warnings].join('; ') };
  }
  const { value, interval95 } = summary.tokensPerSecond;
  return {
    settings,
    test,
    numbers: [formatSignificant(value), intervalText(value, interval95), String(summary.samples)],
    note: noteOf(record, summary),
  };
}

/** Sides of an interval that differ by no more than this factor are shown as one. */
const SYMMETRIC_WITHIN = 2;
/** Sides below this share are shown as one: their difference is of no use to anybody. */
const NARROW = 0.01;

/** `± 1.2 %` by the wider side, or `40.1–52.0` where the sides differ much. */
function intervalText(value: TokensPerSecond, interval: Range<TokensPerSecond> | null): string {
  if (interval === null) return 'unknown';
  const below = 1 - interval.low / value;
  const above = interval.high / value - 1;
  const wider = Math.max(below, above);
  if (wider <= NARROW || wider <= SYMMETRIC_WITHIN * Math.min(below, above)) {
    return `± ${(wider * 100).toFixed(1)} %`;
  }
  return `${formatSignificant(interval.low)}–${formatSignificant(interval.high)}`;
}

function noteOf(record: MeasurementRecord, { extrapolation, outliersNanoseconds }: Summary): string {
  const parts: string[] = [];
  if (extrapolation !== null) {
    parts.push(`layers ${extrapolation.layerCounts.join('+')} of ${extrapolation.totalLayers}`);
  }
  const count = outliersNanoseconds.length;
  if (count > 0) parts.push(`${count} ${count === 1 ? 'outlier' : 'outliers'}`);
  return [...parts, ...record.warnings].join('; ');
}

/** The name as the user gave it, with llama.cpp's description where that says more. */
function modelName({ name, description }: MeasurementRecord['model']): string {
  return description === null || description === name ? name : `${name} (${description})`;
}

const shorten = (text: string): string =>
  text.length <= LONGEST_SETTING ? text : `${text.slice(0, LONGEST_SETTING - 1)}…`;

/** Joins clauses with commas into lines of the table's width. */
function wrap(clauses: readonly string[]): string {
  const lines: string[] = [];
  for (const clause of clauses) {
    const last = lines.at(-1);
    const short = clause.slice(0, TABLE_WIDTH - 1);
    if (last === undefined) lines.push(short);
    else if (last.length + short.length + 3 <= TABLE_WIDTH) lines[lines.length - 1] = `${last}, ${short}`;
    else lines.push(short);
  }
  return lines.join(',\n');
}
