import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { ownDeviceSchema } from '../../src/predict/own-device.ts';

/** Written by `npm run fidelity -- calibration`. */
export const OWN_MACHINE_FILE = new URL('../../data/predict/own-machine.json', import.meta.url);

const rate = z.number().positive();
const measuredRow = z.strictObject({
  model: z.string().min(1),
  test: z.string().min(1),
  depthTokens: z.int().min(0),
  measuredTokensPerSecond: rate,
  predictedTokensPerSecond: rate,
});
const judgedRow = measuredRow.extend({ lowTokensPerSecond: rate, highTokensPerSecond: rate });

const sessionSchema = z.strictObject({
  measuredAt: z.iso.datetime(),
  processor: z.string().min(1),
  device: ownDeviceSchema,
  /** What was learned from, with what was predicted for it before. */
  points: z.array(measuredRow),
  judged: z.array(judgedRow),
  /** Every repetition, so that later predictions can be held against them. */
  records: z.array(
    z.strictObject({
      model: z.string().min(1),
      test: z.string().min(1),
      runs: z.array(z.strictObject({ layers: z.int().min(1).nullable(), samplesNanoseconds: z.array(rate) })),
      warnings: z.array(z.string()),
    }),
  ),
});

/** `data/predict/own-machine.json`: predictions calibrated on one machine, held against whole models on it. */
export const ownMachineSchema = z.strictObject({
  schemaVersion: z.literal(1),
  sessions: z.array(sessionSchema),
});
export type OwnMachineSession = z.infer<typeof sessionSchema>;
export type JudgedRow = z.infer<typeof judgedRow>;

/** What is wanted: a calibrated prediction this close to a whole model, in percent. */
const BOUNDS = { tg: 10, pp: 15 } as const;

const errorOf = ({ predictedTokensPerSecond, measuredTokensPerSecond }: JudgedRow): number =>
  100 * Math.abs(predictedTokensPerSecond / measuredTokensPerSecond - 1);
const cells = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`;

/** The section of docs/accuracy.md about predictions that were calibrated on a machine and judged on it. */
export function ownMachineSection(): string[] {
  const { sessions } = ownMachineSchema.parse(JSON.parse(readFileSync(OWN_MACHINE_FILE, 'utf8')));
  const rows = sessions.flatMap(({ judged }) => judged);
  const summary = (['tg', 'pp'] as const).map((kind) => {
    const own = rows.filter(({ test }) => test.startsWith(kind));
    const within = own.filter((row) => errorOf(row) <= BOUNDS[kind]).length;
    const worst = Math.max(...own.map(errorOf));
    return `${within} of ${own.length} ${kind} figures lie within ${BOUNDS[kind]} % (the worst is ${worst.toFixed(1)} % off)`;
  });
  const inside = rows.filter(
    (row) =>
      row.lowTokensPerSecond <= row.measuredTokensPerSecond &&
      row.measuredTokensPerSecond <= row.highTokensPerSecond,
  ).length;
  return [
    '## Calibrated on a machine of its own',
    '',
    `On ${sessions[0]?.processor ?? 'a machine'}, a virtual machine of a processor that is in no catalogue: calibrated by three synthetic points (Llama 3.2 3B and Qwen3 30B A3B, both Q4_K_M and extrapolated from some of their layers, the first also with 2048 tokens in its cache), then held against whole synthetic models of other architectures, sizes and quantisations, measured in turn with the points. ${summary.join('; ')}; ${inside} of ${rows.length} lie within their 80 % interval. Every repetition is in \`data/predict/own-machine.json\`; \`npm run fidelity -- calibration\` measures anew.`,
    '',
    cells(['model', 'test', 'measured', 'predicted', '80 % interval', 'error %', 'inside']),
    cells(Array<string>(7).fill('---')),
    ...rows.map((row) => {
      const { model, test, depthTokens, measuredTokensPerSecond, predictedTokensPerSecond } = row;
      const { lowTokensPerSecond: low, highTokensPerSecond: high } = row;
      return cells([
        model,
        `${test}${depthTokens === 0 ? '' : ` @ d${depthTokens}`}`,
        measuredTokensPerSecond.toFixed(1),
        predictedTokensPerSecond.toFixed(1),
        `${low.toFixed(1)} to ${high.toFixed(1)}`,
        errorOf(row).toFixed(1),
        low <= measuredTokensPerSecond && measuredTokensPerSecond <= high ? 'yes' : 'no',
      ]);
    }),
    '',
  ];
}
