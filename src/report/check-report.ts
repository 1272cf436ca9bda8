import type { EngineDescription } from '../engine/index.ts';
import type { MachineFacts } from '../machine/index.ts';
import {
  summariseOrExplain,
  timeToFirstToken,
  type Ceilings,
  type Estimate,
  type MeasurementRecord,
} from '../measure/index.ts';
import {
  fraction,
  tokensPerSecond,
  type Bytes,
  type BytesPerSecond,
  type FlopPerSecond,
  type Fraction,
  type Seconds,
  type TokensPerSecond,
} from '../units/index.ts';

/** Fields are added, never changed, within a major version. */
const CHECK_SCHEMA_VERSION = 1;

interface Ranged<Quantity> {
  readonly value: Quantity;
  readonly low: Quantity;
  readonly high: Quantity;
}

/** A number or the reason why there is none. */
export type Finding<T> = { readonly found: T } | { readonly missing: string };

export interface CheckedModel {
  readonly name: string;
  readonly parameters: number;
  readonly activeParameters: number;
  readonly sizeBytes: Bytes;
  readonly layersRun: readonly number[];
  readonly layers: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  /** 80 % intervals, which hold the noise of the repetitions and the error of the extrapolation. */
  readonly promptTokensPerSecond: Finding<Ranged<TokensPerSecond>>;
  readonly generatedTokensPerSecond: Finding<Ranged<TokensPerSecond>>;
  /** What tg would be if the weights of a token streamed at the measured bandwidth. */
  readonly generationRoofTokensPerSecond: Finding<TokensPerSecond>;
  readonly shareOfRoof: Finding<Ranged<Fraction>>;
  readonly timeToFirstToken: readonly {
    readonly promptTokens: number;
    readonly seconds: Finding<Ranged<Seconds>>;
  }[];
  readonly warnings: readonly string[];
  readonly recordIds: readonly string[];
}

/** The one document of a check: the terminal, Markdown and JSON all render this. */
export interface CheckReport {
  readonly schemaVersion: number;
  readonly kind: 'ridgepoint-check';
  readonly createdAt: string;
  readonly ridgepointVersion: string;
  readonly quick: boolean;
  readonly machine: MachineFacts;
  readonly engine: EngineDescription;
  readonly threads: number;
  readonly ceilings: Finding<{
    readonly bandwidthBytesPerSecond: Ranged<BytesPerSecond>;
    readonly bandwidthType: string;
    readonly matmulFlopPerSecond: Ranged<FlopPerSecond>;
    readonly matmulType: string;
  }>;
  readonly models: readonly CheckedModel[];
  /** Models of which not even a few layers could be run here. */
  readonly notRun: readonly { readonly name: string; readonly reason: string }[];
  readonly recordsFile: string;
  readonly durationSeconds: Seconds;
  readonly next: readonly { readonly command: string; readonly purpose: string }[];
}

/** What was run of one model, before it is judged. */
export interface CheckRun {
  readonly name: string;
  readonly parameters: number;
  readonly activeParameters: number;
  readonly sizeBytes: Bytes;
  /** Bytes of weights that one generated token reads. */
  readonly activeWeightBytes: Bytes;
  readonly layersRun: readonly number[];
  readonly layers: number;
  readonly promptTokens: number;
  readonly generatedTokens: number;
  readonly records: readonly MeasurementRecord[];
}

/** Prompts that people wait for: a long question, and a document. */
const PROMPTS = [4096, 32_768] as const;

export interface CheckFacts extends Omit<
  CheckReport,
  'schemaVersion' | 'kind' | 'models' | 'ceilings' | 'next'
> {
  readonly measuredCeilings: Ceilings | null;
  readonly runs: readonly CheckRun[];
}

/** Judges what a check has measured. Pure: the same facts give the same report. */
export function buildCheckReport({ measuredCeilings, runs, ...facts }: CheckFacts): CheckReport {
  const { createdAt, ridgepointVersion, quick, machine, engine, threads, recordsFile, durationSeconds } =
    facts;
  return {
    schemaVersion: CHECK_SCHEMA_VERSION,
    kind: 'ridgepoint-check',
    createdAt,
    ridgepointVersion,
    quick,
    machine,
    engine,
    threads,
    ceilings: ceilingFinding(measuredCeilings),
    models: runs.map((run) => judge(run, measuredCeilings)),
    notRun: facts.notRun,
    recordsFile,
    durationSeconds,
    next: nextCommands(runs, quick),
  };
}

function ceilingFinding(ceilings: Ceilings | null): CheckReport['ceilings'] {
  if (ceilings === null) {
    return { missing: 'only the embedded engine can time single products; this one runs whole models' };
  }
  const { bandwidth, matmul } = ceilings;
  return {
    found: {
      bandwidthBytesPerSecond: { value: bandwidth.value, low: bandwidth.low, high: bandwidth.high },
      bandwidthType: bandwidth.product.type,
      matmulFlopPerSecond: { value: matmul.value, low: matmul.low, high: matmul.high },
      matmulType: matmul.product.type,
    },
  };
}

function judge(run: CheckRun, ceilings: Ceilings | null): CheckedModel {
  const find = (matches: (record: MeasurementRecord) => boolean): MeasurementRecord | undefined =>
    run.records.find(matches);
  const prompt = find(({ test }) => test.promptTokens > 0 && test.depthTokens === 0);
  const deep = find(({ test }) => test.promptTokens > 0 && test.depthTokens > 0);
  const generation = find(({ test }) => test.generatedTokens > 0);
  const tg = speed(generation);
  const roof: Finding<TokensPerSecond> =
    ceilings === null
      ? { missing: 'the bandwidth was not measured' }
      : { found: tokensPerSecond(ceilings.bandwidth.value / run.activeWeightBytes) };
  return {
    name: run.name,
    parameters: run.parameters,
    activeParameters: run.activeParameters,
    sizeBytes: run.sizeBytes,
    layersRun: run.layersRun,
    layers: run.layers,
    promptTokens: run.promptTokens,
    generatedTokens: run.generatedTokens,
    promptTokensPerSecond: speed(prompt),
    generatedTokensPerSecond: tg,
    generationRoofTokensPerSecond: roof,
    shareOfRoof: shareOf(tg, roof),
    timeToFirstToken: PROMPTS.map((promptTokens) => ({
      promptTokens,
      seconds: firstToken(prompt, deep, promptTokens),
    })),
    warnings: onceEach(run.records.flatMap((record) => record.warnings)),
    recordIds: run.records.map(({ id }) => id),
  };
}

/** Warnings that differ only in their numbers are said once, with the numbers of the last; the records keep them all. */
function onceEach(warnings: readonly string[]): string[] {
  return [...new Map(warnings.map((warning) => [warning.replaceAll(/[\d.]+/g, '#'), warning])).values()];
}

function speed(record: MeasurementRecord | undefined): Finding<Ranged<TokensPerSecond>> {
  if (record === undefined) return { missing: 'not measured' };
  if (record.failure !== null) return { missing: record.failure.sentence };
  const { summary, reason } = summariseOrExplain(record);
  return summary === null ? { missing: reason } : ranged(summary.tokensPerSecond);
}

function ranged<Quantity>(estimate: Estimate<Quantity>): Finding<Ranged<Quantity>> {
  const { value, interval80 } = estimate;
  return interval80 === null
    ? { missing: 'a single repetition says nothing' }
    : { found: { value, ...interval80 } };
}

/** Both are measured; a rate that lies above its roof with its whole interval is believed by nobody. */
function shareOf(
  tg: Finding<Ranged<TokensPerSecond>>,
  roof: Finding<TokensPerSecond>,
): Finding<Ranged<Fraction>> {
  if ('missing' in tg) return tg;
  if ('missing' in roof) return roof;
  const share = (value: TokensPerSecond): Fraction => fraction(value / roof.found);
  if (share(tg.found.low) > 1) {
    const times = share(tg.found.value).toFixed(2);
    return {
      missing: `tg would be ${times} times the roof of the streaming rate above, so one of the two was disturbed: check again`,
    };
  }
  return { found: { value: share(tg.found.value), low: share(tg.found.low), high: share(tg.found.high) } };
}

function firstToken(
  prompt: MeasurementRecord | undefined,
  deep: MeasurementRecord | undefined,
  promptTokens: number,
): Finding<Ranged<Seconds>> {
  if (deep === undefined) return { missing: 'a quick check does not look at long prompts' };
  const failed = [prompt, deep].find((record) => record?.failure);
  if (failed?.failure) return { missing: failed.failure.sentence };
  const estimate = prompt === undefined ? null : timeToFirstToken(prompt, deep, promptTokens);
  return estimate === null ? { missing: 'the repetitions make no number' } : { found: estimate };
}

function nextCommands(runs: readonly CheckRun[], quick: boolean): CheckReport['next'] {
  const model = runs[0]?.name ?? 'llama-3.1-8b:Q4_K_M';
  const full = {
    command: 'ridgepoint check',
    purpose: 'the full check, with long prompts and narrower intervals',
  };
  return [
    ...(quick ? [full] : []),
    {
      command: `ridgepoint bench ${model} -p 512 -n 128 -d 0,4096`,
      purpose: 'one model at your context length',
    },
    { command: `ridgepoint fit ${model}`, purpose: 'the longest context that fits, with the flags for it' },
    { command: 'ridgepoint models', purpose: 'what else can be measured without a download' },
    { command: 'ridgepoint engines', purpose: 'which backends and devices there are to compare' },
  ];
}
