import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { readDeviceRecords, readModelRecords } from '../../src/catalog/host/index.ts';
import { resolveModelName } from '../../src/catalog/index.ts';
import { isMixName, MIX_NAMES } from '../../src/model/index.ts';
import { readParameters } from '../../src/predict/host/index.ts';
import {
  calibrate,
  configureOwn,
  Predictor,
  type Calibration,
  type Configuration,
  type PredictedTest,
  type Prediction,
} from '../../src/predict/index.ts';
import { ownDeviceSchema, type OwnDevice } from '../../src/predict/own-device.ts';

/** Written by `npm run fidelity -- calibration`. */
export const OWN_MACHINE_FILE = new URL('../../data/predict/own-machine.json', import.meta.url);

const rate = z.number().positive();
const count = z.int().min(0);
const rowSchema = z.strictObject({
  model: z.string().min(1),
  promptTokens: count,
  generatedTokens: count,
  depthTokens: count,
  tokensPerSecond: rate,
});

const sessionSchema = z.strictObject({
  measuredAt: z.iso.datetime(),
  processor: z.string().min(1),
  /** Whether points and models were loaded together and took turns; absent: one after the other, there and back. */
  protocol: z.literal('paired').optional(),
  device: ownDeviceSchema,
  /** What is learned from. */
  points: z.array(rowSchema).min(1),
  judged: z.array(rowSchema).min(1),
  /** Every repetition that the rows are medians of. */
  records: z.array(
    z.strictObject({
      model: z.string().min(1),
      test: z.string().min(1),
      runs: z.array(z.strictObject({ layers: z.int().min(1).nullable(), samplesNanoseconds: z.array(rate) })),
      warnings: z.array(z.string()),
    }),
  ),
});

/** `data/predict/own-machine.json`: models that were measured on one machine in turn with the points of a calibration. */
export const ownMachineSchema = z.strictObject({
  schemaVersion: z.literal(1),
  sessions: z.array(sessionSchema),
});
export type OwnMachineSession = z.infer<typeof sessionSchema>;
export type MeasuredRow = z.infer<typeof rowSchema>;

/** A measurement beside its prediction: of the points without any calibration, of the judged models with it. */
export interface JudgedRow {
  readonly row: MeasuredRow;
  readonly prediction: Prediction;
}

/** Calibrates with the points of a session, and predicts the models that it judges. */
export function judgeSession(session: OwnMachineSession): {
  readonly points: readonly JudgedRow[];
  readonly judged: readonly JudgedRow[];
} {
  const { device, points, judged, measuredAt } = session;
  const catalog = { devices: readDeviceRecords(), models: readModelRecords() };
  const parameters = readParameters();
  const before = new Predictor(parameters, catalog);
  const predicted = (rows: readonly MeasuredRow[], predictor: Predictor): JudgedRow[] =>
    rows.map((row) => ({
      row,
      prediction: predictor.predict(configurationOf(row, device), testOf(row), modelOf(row).record.id),
    }));
  const shiftsOf = (metric: PredictedTest['metric']): Calibration['generation'] => {
    const own = points.filter((row) => testOf(row).metric === metric);
    const lessons = own.map((row) => {
      const configuration = configurationOf(row, device);
      return {
        configuration,
        ...before.uncalibrated(configuration, testOf(row)),
        logSeconds: Math.log(Math.max(1, row.promptTokens) / row.tokensPerSecond),
      };
    });
    return calibrate(metric, lessons);
  };
  const calibration = {
    deviceId: device.id,
    backend: device.backend,
    measuredAt,
    points: points.length,
    generation: shiftsOf('generation'),
    prompt: shiftsOf('prompt'),
  };
  return {
    points: predicted(points, before),
    judged: predicted(judged, new Predictor(parameters, catalog, [calibration])),
  };
}

const testOf = ({ promptTokens, generatedTokens, depthTokens }: MeasuredRow): PredictedTest =>
  promptTokens > 0
    ? { metric: 'prompt', tokens: promptTokens }
    : { metric: 'generation', context: depthTokens + generatedTokens / 2 };

const modelOf = ({ model }: MeasuredRow): ReturnType<typeof resolveModelName> =>
  resolveModelName(model, readModelRecords(), MIX_NAMES);

function configurationOf(row: MeasuredRow, device: OwnDevice): Configuration {
  const { record, quantisation: mix } = modelOf(row);
  const configuration = isMixName(mix) ? configureOwn(device, record, mix, row.depthTokens) : null;
  if (configuration === null)
    throw new Error(`${row.model} with ${device.backend} is nothing that can be predicted`);
  return configuration;
}

/** What is wanted: a calibrated prediction this close to a whole model, in percent. */
const BOUNDS = { tg: 10, pp: 15 } as const;

const errorOf = ({ row, prediction }: JudgedRow): number =>
  100 * Math.abs(prediction.tokensPerSecond / row.tokensPerSecond - 1);
const isInside = ({ row, prediction }: JudgedRow): boolean =>
  prediction.low <= row.tokensPerSecond && row.tokensPerSecond <= prediction.high;
const cells = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`;

/** `tg32 @ d2048`. */
export const rowName = ({ promptTokens, generatedTokens, depthTokens }: MeasuredRow): string =>
  `${promptTokens > 0 ? `pp${promptTokens}` : `tg${generatedTokens}`}${depthTokens === 0 ? '' : ` @ d${depthTokens}`}`;

/** A judged row with the number of its session, counted from 1. */
type SessionRow = JudgedRow & { readonly session: number };

function summaryOf(rows: readonly SessionRow[]): string {
  const byKind = (['tg', 'pp'] as const).map((kind) => {
    const own = rows.filter(({ row }) => rowName(row).startsWith(kind));
    const within = own.filter((each) => errorOf(each) <= BOUNDS[kind]).length;
    return `${within} of ${own.length} ${kind} figures lie within ${BOUNDS[kind]} %, the worst is ${Math.max(...own.map(errorOf)).toFixed(1)} % off`;
  });
  return `${byKind.join('; ')}; ${rows.filter(isInside).length} of ${rows.length} lie within their 80 % interval.`;
}

/** `Session 5: 4 of 4 tg figures ...`, the newest first. */
function summariesOf(rows: readonly SessionRow[]): string {
  const sessions = [...new Set(rows.map(({ session }) => session))].sort((a, b) => b - a);
  return sessions
    .map((each) => `Session ${each}: ${summaryOf(rows.filter(({ session }) => session === each))}`)
    .join(' ');
}

function tableOf(rows: readonly SessionRow[]): string[] {
  return [
    cells(['session', 'model', 'test', 'measured', 'predicted', '80 % interval', 'error %', 'inside']),
    cells(Array<string>(8).fill('---')),
    ...rows.map((each) => {
      const { row, prediction, session } = each;
      return cells([
        String(session),
        row.model,
        rowName(row),
        row.tokensPerSecond.toFixed(1),
        prediction.tokensPerSecond.toFixed(1),
        `${prediction.low.toFixed(1)} to ${prediction.high.toFixed(1)}`,
        errorOf(each).toFixed(1),
        isInside(each) ? 'yes' : 'no',
      ]);
    }),
    '',
  ];
}

/** What the first paired session taught, which its figures alone do not say. */
const LEARNED_FROM_PAIRS =
  'Session 4 had timed attention with heads of 64, 128 and 256 values alone, and took those of 96 from a line between, which made Phi-3 mini at depth 3.4 times too fast; its rates of layers held what a layer takes besides its weights, which then counted twice. Every length of the catalogue is timed since, and the rates are of the weights alone (docs/prediction.md).';

/** The section of docs/accuracy.md about predictions that were calibrated on a machine and judged on it. */
export function ownMachineSection(): string[] {
  const { sessions } = ownMachineSchema.parse(JSON.parse(readFileSync(OWN_MACHINE_FILE, 'utf8')));
  const rows = sessions.flatMap((session, index) =>
    judgeSession(session).judged.map((judged) => ({
      ...judged,
      session: index + 1,
      isPaired: session.protocol === 'paired',
    })),
  );
  const paired = rows.filter(({ isPaired }) => isPaired);
  const visits = rows.filter(({ isPaired }) => !isPaired);
  const pairing =
    'Samples of the points, of layers in each type, and the whole models are in memory together and take turns for minutes, with attention and products timed in between; medians of all rounds.';
  return [
    '## Calibrated on a machine of its own',
    '',
    `On ${sessions[0]?.processor ?? 'a machine'}, a virtual machine of a processor that is in no catalogue: calibrated by three synthetic points (Llama 3.2 3B and Qwen3 30B A3B in Q4_K_M, extrapolated from some of their layers, the first also with 2048 tokens in its cache), then held against whole synthetic models of other families and quantisations. Every repetition is in \`data/predict/own-machine.json\`; \`npm run fidelity -- calibration phi-2:Q6_K\` measures anew, and adds a session.`,
    '',
    `${pairing} No model had been used before its session, and the models were named before anything was measured: ${summariesOf(paired)} ${LEARNED_FROM_PAIRS}`,
    '',
    ...tableOf(paired),
    `Earlier sessions measured one after the other, there and back, and knew of single products alone, not of attention nor of layers in each type. They were no blind test: what such devices differ in was found with them in view. Two visits to one test a few minutes apart differ by up to a fifth in tg on this machine, and the figures at depth are of one visit. ${summaryOf(visits)}`,
    '',
    ...tableOf(visits),
  ];
}
