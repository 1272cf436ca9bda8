import { readFileSync, writeFileSync } from 'node:fs';
import { readDeviceRecords, readModelRecords } from '../../src/catalog/host/index.ts';
import { CELLS, quantile, type CellScore } from '../../src/predict/accuracy.ts';
import { readParameters } from '../../src/predict/host/index.ts';
import { Predictor } from '../../src/predict/index.ts';
import { ledgerSchema, type Ledger } from './ledger.ts';
import { ownMachineSection } from './own-machine.ts';
import { judgeNotes, readNotes, type JudgedNote } from './notes.ts';
import { scorePeers } from './peers.ts';
import { readEvidence } from './rows.ts';

/** Writes `docs/accuracy.md` and its plot from the ledger, the notes and the formulas of other tools. */
const DOCUMENT = new URL('../../docs/accuracy.md', import.meta.url);
const PLOT = new URL('../../docs/images/accuracy.svg', import.meta.url);
const LEDGER = new URL('../../data/predict/ledger.json', import.meta.url);

const TITLES: Readonly<Record<string, string>> = {
  'in-sample': 'in-sample: everything seen',
  configuration: 'configuration left out (device, backend and model each seen elsewhere)',
  a: 'a: device never seen',
  b: 'b: device and backend seen, model not',
  c: 'c: device never seen, three points of its own for each backend',
  time: 'by time: measured from 2025-10-15 on, predicted from what was before',
};
/** What the project wants, and the feasibility study reached: macro median error in percent, in the order of CELLS. */
const GOALS: Readonly<
  Record<string, { readonly goal: readonly number[]; readonly study: readonly number[] }>
> = {
  a: { goal: [12, 16, 18, 25], study: [18.5, 24, 28, 39] },
  b: { goal: [6, 8, 13, 18], study: [9.8, 11, 28, 43] },
  c: { goal: [4, 6, 9, 11], study: [5.1, 13, 18, 16] },
};

const one = (value: number | null): string =>
  value === null || !Number.isFinite(value) ? '-' : value.toFixed(1);
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

function regimeTable(
  name: string,
  cells: readonly CellScore[] | Ledger['regimes'][string][string],
): string[] {
  const goals = GOALS[name];
  return [
    `### ${TITLES[name] ?? name}`,
    '',
    row([
      'cell',
      'rows',
      'median %',
      'p90 %',
      'devices',
      'macro median %',
      'macro p90 %',
      'macro coverage %',
      'width',
      'study',
      'goal',
    ]),
    row(Array<string>(11).fill('---')),
    ...cells.map((cell) => {
      const at = CELLS.findIndex((each) => each === cell.cell);
      return row([
        cell.cell,
        String(cell.rows),
        one(cell.medianPercent),
        one(cell.p90Percent),
        String(cell.devices),
        one(cell.macroMedianPercent),
        one(cell.macroP90Percent),
        one(cell.macroCoveragePercent),
        cell.width === null ? '-' : cell.width.toFixed(2),
        goals === undefined ? '' : String(goals.study[at]),
        goals === undefined ? '' : String(goals.goal[at]),
      ]);
    }),
    '',
  ];
}

function noteTable(notes: readonly JudgedNote[]): string[] {
  return [
    row([
      'note',
      'device',
      'backend',
      'engine',
      'model',
      'test',
      'measured',
      'predicted',
      '80 % interval',
      'inside',
    ]),
    row(Array<string>(10).fill('---')),
    ...notes.map(({ note, predicted, low, high, reason }) => {
      const inside =
        predicted !== null && low !== null && high !== null && low <= note.value && note.value <= high;
      const depth = note.depthTokens > 0 ? ` @ d${note.depthTokens}` : '';
      return row([
        note.note,
        note.device,
        note.backend,
        note.engine,
        `${note.model} ${note.quantisation}`.trim(),
        `${note.metric}${note.tokens}${depth}`,
        String(note.value),
        one(predicted),
        low === null || high === null ? '-' : `${one(low)} to ${one(high)}`,
        reason ?? (inside ? 'yes' : 'no'),
      ]);
    }),
    '',
  ];
}

function insideShare(notes: readonly JudgedNote[]): string {
  const answered = notes.filter(({ predicted, reason }) => predicted !== null && reason === null);
  const inside = answered.filter(
    ({ note, low, high }) => (low ?? 0) <= note.value && note.value <= (high ?? 0),
  );
  const width = quantile(
    answered.map(({ low, high }) => (high ?? 1) / (low ?? 1)),
    0.5,
  );
  return `${inside.length} of ${answered.length} lie within their interval, at a median width (high / low) of ${width.toFixed(2)}`;
}

const BAR = { width: 760, left: 150, top: 40, row: 20, scale: 10 } as const;

function plot(ledger: Ledger): string {
  const bars = ['a', 'b', 'c'].flatMap((regime) =>
    CELLS.map((name, index) => ({
      label: `${regime}, ${name}`,
      value:
        ledger.regimes[regime]?.['llama.cpp']?.find(({ cell }) => cell === name)?.macroMedianPercent ?? 0,
      goal: GOALS[regime]?.goal[index] ?? 0,
      study: GOALS[regime]?.study[index] ?? 0,
    })),
  );
  const height = BAR.top + bars.length * BAR.row + 20;
  const x = (percent: number): string => (BAR.left + percent * BAR.scale).toFixed(0);
  const marks = bars.map(({ label, value, goal, study }, index) => {
    const y = BAR.top + index * BAR.row;
    return `<text x="${BAR.left - 8}" y="${y + 12}" text-anchor="end">${label.replace('>', '&gt;')}</text><rect x="${BAR.left}" y="${y}" width="${(value * BAR.scale).toFixed(0)}" height="14" fill="#2f6f9f"/><line x1="${x(goal)}" x2="${x(goal)}" y1="${y - 2}" y2="${y + 16}" stroke="#1a7f37" stroke-width="2"/><line x1="${x(study)}" x2="${x(study)}" y1="${y - 2}" y2="${y + 16}" stroke="#d9822b" stroke-width="2"/><text x="${Number(x(Math.max(value, study, goal))) + 6}" y="${y + 12}">${value.toFixed(1)} %</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${BAR.width}" height="${height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/><text x="10" y="20" font-size="14">macro median error; green line: goal, orange line: feasibility study</text>${marks.join('')}</svg>\n`;
}

const ledger = ledgerSchema.parse(JSON.parse(readFileSync(LEDGER, 'utf8')));
const parameters = readParameters();
const { rows, unanswered } = readEvidence();
const notes = judgeNotes(
  new Predictor(parameters, { devices: readDeviceRecords(), models: readModelRecords() }),
  readNotes(),
);
const plain = notes.filter(({ note }) => note.engine === 'llama.cpp');
const others = notes.filter(({ note }) => note.engine !== 'llama.cpp');
const missing = new Map<string, number>();
for (const { code } of unanswered) missing.set(code, (missing.get(code) ?? 0) + 1);
const total = rows.length + unanswered.length;
const lines = [
  '# How accurate the predictions are',
  '',
  '<!-- Written by tools/fit/document.ts (npm run accuracy). -->',
  '',
  `Every figure here is of published measurements (\`data/published/measurements.json.gz\`, a source to each row): ${total} rows, of which ${rows.length} (${((100 * rows.length) / total).toFixed(1)} %) resolve to a device and a model of the catalogue; the others are answered with what is missing (${[...missing].map(([code, count]) => `${code}: ${count}`).join(', ')}). Errors are |predicted / measured - 1|. Macro figures are means over devices with at least two rows, so that the device with two thirds of all rows counts like any other. Tables are of llama.cpp itself; ik_llama.cpp and LocalScore's means over nine shapes are in \`data/predict/ledger.json\` under \`all\`.`,
  '',
  '![Macro median errors against goals](images/accuracy.svg)',
  '',
  '## By regime',
  '',
  'Devices, models and configurations are left out in nine groups: a row is predicted by a fit that has seen nothing of its device (a, c), of its model (b), or of its configuration. In b a row counts only when other models of the same device, backend family and engine were seen. The intervals are the quantiles of these cross-validated residuals, every device weighing alike; their coverage is therefore right on average over devices by construction, and what a new device meets can be narrower or wider. Prompts in batches of up to 64 tokens have intervals of their own. Builds beyond the time that a fit has seen have wider ones; how much was learned from divisions on other days than that of the last table. Folds keep kin apart: devices of a class, and models of an architecture, are left out in different ones as far as there are enough.',
  '',
  ...Object.entries(ledger.regimes).flatMap(([name, engines]) =>
    regimeTable(name, engines['llama.cpp'] ?? []),
  ),
  '## What is worst, and why',
  '',
  '- **Prompts in small batches.** Two thirds of the pp rows at depth 0 on one device are sweeps from pp1 to pp4096. Between 2 and 64 tokens backends change kernels several times, and the change is learned for the backend, not for the shape: p90 is above 60 % even in-sample.',
  '- **Calibration by three points (c)** is judged where a device and backend have three more believable rows besides. It moves what the points exercise: what they teach about a format, an architecture or flash attention reaches only tests that share it. The two worst are tables of 16 formats on processors (of llama.cpp and of what was then its fork), where three points say little of how fast the other formats unpack, and of batches of 16 to 64 tokens before and after a change of their kernels, which the rows do not tell apart. The spreads that decide how far a point reaches were chosen by these very errors, 12 numbers a metric over 18 devices.',
  '- **Time.** Rows after the split are of backends (ROCm 7.1, 7.2) and models that did not exist before it, and everything became faster: the medians of the last table are what a year costs. Its intervals are those of the novelty that each row had then, and of its distance in time; they are learned from one device for the most part, and too wide for prompts. A drift by the quarter, shared by all backends, predicted no better.',
  '- **What a query does not say.** Prompts on a Ryzen AI Max+ 395 with ROCm of mid-2025 took 2.3 times as long without hipBLASLt at the median; the fit knows which rows those were, a query does not say it (docs/prediction.md). Threads of processors are in no query either, nor which of two builds of one day had a new kernel: the RTX 3090 in b and c is a table of both.',
  '- **Depth** has three devices of llama.cpp in this corpus, so a macro figure there is a mean of three.',
  '- **BF16 on Vulkan** and models of which one format exists on one backend: the penalty of a format is learned per backend, so the first model in it is predicted too fast.',
  '',
  'Tried against the shortfall, with what macro medians did (folds alone move them by one or two points). Priors at 0.6 of their width and at full width: b improves where a worsens. Four-fold weight for devices with few rows: a better by 1 point in tg at depth, worse in the rest. A term for batches that do not fill the tiles of a kernel: b pp at depth 0 from 21.7 to 21.3, c from 20.4 to 20.8. Another for a kernel that is started for each expert, as ROCm does: b pp at depth 0 to 20, but a pp at depth from 38 to 41. Doubled priors for the effects of batch sizes: a pp at depth 43. Sixteen folds: b pp at depth 0 from 21 to 25, a pp at depth from 40.5 to 40. Intervals of unequal sides, by quantiles of signed errors: no narrower, and they cover a device that was not seen no better. What helped: effects of the format on the arithmetic of processors, for each engine of its own (b tg at depth 0 from 10.0 to 9.6); calibration that shifts formats, architectures and flash attention apart from the device (c tg at depth 0 from 11.8 to about 5, of which about 3 are devices that no longer count because they have too few rows to judge by); more weight on the prompts of LocalScore and less on single backends for attention (a pp at depth from 40 to 37); published peaks of processor cores, the bandwidth that the cores of large Apple chips reach, the work of unpacking each format as it was measured, and effects of the format on prompts of processors (c tg at depth 0 from 5.0 to 4.6, b from 9.6 to 9.1, a pp at depth 0 from 22 to 19, though the cores of an M2 Max, which had no peak before, now count in pp); what a file of gpt-oss is made of (its tables in 8 bits and biases in 32 were taken for layers).',
  '',
  ...ownMachineSection(),
  '## Other tools on the same rows',
  '',
  'Their formulas as published, with the true bandwidth, bytes and active weights handed to them; llama.cpp on GPUs and Macs. llm-checker is left out: its constants are not published.',
  '',
  row(['tool', ...CELLS.map((cell) => `${cell}: macro median %`), 'formula']),
  row(Array<string>(6).fill('---')),
  ...scorePeers(rows).map(({ name, formula, cells }) =>
    row([
      name,
      ...CELLS.map((cell) => one(cells.find((each) => each.cell === cell)?.macroMedianPercent ?? null)),
      formula,
    ]),
  ),
  row([
    'Ridgepoint, device never seen',
    ...CELLS.map((cell) =>
      one(ledger.regimes['a']?.['llama.cpp']?.find((each) => each.cell === cell)?.macroMedianPercent ?? null),
    ),
    'the fit above, regime a (CPUs included)',
  ]),
  '',
  '## Published notes',
  '',
  `Rows of measured tables that are prompt processing or generation and that the fit has not seen. Of llama.cpp ${insideShare(plain)}. pp and tg of the note \`three-devices\` are taken as llama-bench's pp2048 and tg32 at the stated depth, the first at depth 0; where no backend is named the vendor's usual one is meant.`,
  '',
  ...noteTable(plain),
  `Other engines, which are not what is predicted; ${insideShare(others)}:`,
  '',
  ...noteTable(others),
];
writeFileSync(DOCUMENT, `${lines.join('\n')}\n`);
writeFileSync(PLOT, plot(ledger));
