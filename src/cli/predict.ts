import { createReadStream, createWriteStream, existsSync, realpathSync, statSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import {
  predictTurn,
  withoutPeak,
  type BatchError,
  type Configuration,
  type PredictedTurn,
  type Prediction,
} from '../predict/index.ts';
import { formatSeconds, formatSignificant, seconds } from '../units/index.ts';
import type { CliContext } from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';
import type { PredictFlags, SettingFlag } from './prediction-options.ts';
import { memoryNeed, warnOfContext } from './prediction-memory.ts';
import {
  openModel,
  openPredictor,
  openTarget,
  ownMeasurements,
  weightsFit,
  type PredictedModel,
  type Settings,
  type Target,
} from './prediction-target.ts';

/** Predicts the speed of models on machines, or answers a file of queries. */
export async function runPredict(
  models: readonly string[],
  flags: PredictFlags,
  context: CliContext,
): Promise<ExitCode> {
  if (flags.batch !== undefined) {
    if (flags.output === undefined)
      throw new UsageError('--batch needs -o FILE: where to write the answers.');
    if (models.length > 0)
      throw new UsageError('With --batch the models are those of the queries; name none.');
    return answerBatch(flags.batch, flags.output, context);
  }
  if (models.length === 0)
    throw new UsageError('Name a model, such as qwen3-30b-a3b:Q4_K_M, or a file with --batch.');
  const predictor = openPredictor(context);
  const rows: Row[] = [];
  const targets: Target[] = [];
  const kept = ownMeasurements(context);
  for (const machine of flags.machine ?? [undefined]) {
    for (const backend of flags.backend ?? [undefined])
      targets.push(await openTarget(machine, backend, kept));
  }
  for (const text of models) {
    const model = await openModel(text, context);
    for (const target of targets) {
      const deepest = contextOf(Math.max(...flags.depth), flags.prompt);
      warnOfContext(target, model, settingsOf(flags, 0), deepest, context);
      for (const depth of flags.depth) {
        const configuration = model.configurationOn(target, settingsOf(flags, depth));
        const generation = predictor.predict(
          configuration,
          { metric: 'generation', context: depth + GENERATED / 2 },
          model.id,
        );
        const canPrompt = withoutPeak(configuration, flags.prompt) === null;
        const prompt = canPrompt
          ? predictor.predict(configuration, { metric: 'prompt', tokens: flags.prompt }, model.id)
          : null;
        const turn = canPrompt
          ? predictTurn(
              predictor,
              configuration,
              {
                promptTokens: depth + flags.prompt,
                outputTokens: 1,
                cachedShare: depth / (depth + flags.prompt),
              },
              model.id,
            )
          : null;
        rows.push({
          model,
          target,
          depth,
          configuration,
          generation,
          prompt,
          firstToken: turn?.firstToken ?? null,
        });
      }
    }
  }
  const measured = flags.measured === true ? await publishedBeside(rows) : null;
  if (flags.json === true) {
    printDocument(context, 'predictions', {
      promptTokens: flags.prompt,
      predictions: rows.map((row, index) => documentOf(row, flags, measured?.[index])),
    });
    return 0;
  }
  const { dim } = context.colors;
  printTable(
    context,
    [
      { title: 'model' },
      { title: 'machine' },
      { title: 'backend' },
      { title: 'depth', align: 'right' },
      { title: `pp${flags.prompt}`, align: 'right' },
      { title: 'tg', align: 'right' },
      { title: 'first token', align: 'right' },
      { title: 'basis' },
      ...(measured === null ? [] : [{ title: 'published' }]),
    ],
    rows.map((row, index) => [
      row.model.title,
      row.target.name,
      row.target.backend.exact,
      String(row.depth),
      row.prompt === null ? dim('no peak known') : speed(row.prompt),
      speed(row.generation),
      row.firstToken === null ? dim('unknown') : duration(row.firstToken),
      row.generation.basis,
      ...(measured === null ? [] : [publishedText(measured[index])]),
    ]),
  );
  context.stdout(
    dim(
      `\npp and tg in tokens/s, the first token after ${flags.prompt} new tokens; in brackets the interval that is meant to hold four measurements of five`,
    ),
  );
  return 0;
}

/** Tokens for which there has to be room: those in the cache, and the longer of the two tests. */
const contextOf = (depth: number, prompt: number): number => depth + Math.max(prompt, GENERATED);

/** Tokens that a generation test of llama-bench generates by default; their mean depth is what is predicted. */
const GENERATED = 128;

interface Row {
  readonly model: PredictedModel;
  readonly target: Target;
  readonly depth: number;
  readonly configuration: Configuration;
  readonly generation: Prediction;
  readonly prompt: Prediction | null;
  readonly firstToken: PredictedTurn['firstToken'] | null;
}

/** The settings of the flags at one depth. */
export function settingsOf(flags: Pick<PredictFlags, SettingFlag>, depth: number): Settings {
  if (flags.flashAttn === 'off' && flags.cacheType !== undefined && flags.cacheType !== 'f16') {
    // llama_init_from_model of llama.cpp: a quantised cache of values is read by flash attention alone.
    throw new UsageError(
      `A KV cache of ${flags.cacheType} needs flash attention; leave out --flash-attn off or --cache-type.`,
    );
  }
  return {
    depth,
    ubatch: flags.ubatchSize ?? null,
    flashAttention: flags.flashAttn === undefined ? null : flags.flashAttn === 'on',
    cacheType: flags.cacheType ?? null,
    placement:
      flags.nGpuLayers === undefined && flags.nCpuMoe === undefined
        ? null
        : { gpuLayers: flags.nGpuLayers ?? null, cpuMoeLayers: flags.nCpuMoe ?? 0 },
    hostDevice: flags.hostDevice ?? null,
  };
}

/** `61.3 (55.0 to 68.2)`. */
export function speed({ tokensPerSecond, low, high }: Prediction): string {
  return `${formatSignificant(tokensPerSecond)} (${formatSignificant(low)} to ${formatSignificant(high)})`;
}

/** `3.42 s (2.38 s to 4.93 s)`. */
export function duration({ value, low, high }: PredictedTurn['firstToken']): string {
  return `${formatSeconds(value)} (${formatSeconds(low)} to ${formatSeconds(high)})`;
}

type Published = Awaited<ReturnType<typeof publishedBeside>>[number];

/** Published measurements of the same model, quantisation, device, backend family and depth; llama.cpp's own only. */
async function publishedBeside(rows: readonly Row[]) {
  const { readPublishedMeasurements } = await import('../predict/host/index.ts');
  const { readDeviceRecords, readModelRecords } = await import('../catalog/host/index.ts');
  const { QueryReader } = await import('../predict/index.ts');
  const reader = new QueryReader(readDeviceRecords(), readModelRecords());
  const found = rows.map(() => ({ prompt: [] as Value[], generation: [] as Value[] }));
  for (const { query, tokensPerSecond, source } of readPublishedMeasurements()) {
    const prepared = reader.prepare(query);
    if ('code' in prepared || prepared.configuration.engine !== 'llama.cpp') continue;
    for (const [index, row] of rows.entries()) {
      const own = row.configuration;
      const same =
        prepared.modelId === row.model.id &&
        prepared.configuration.quantisation.name === own.quantisation.name &&
        prepared.configuration.device.id === own.device.id &&
        prepared.configuration.device.count === own.device.count &&
        prepared.configuration.backend.family === own.backend.family &&
        prepared.configuration.depth === row.depth;
      if (same) found[index]?.[prepared.metric].push({ tokensPerSecond, source: source.repository });
    }
  }
  return found;
}

interface Value {
  readonly tokensPerSecond: number;
  readonly source: string;
}

function publishedText(published: Published | undefined): string {
  const range = (values: readonly Value[], name: string): string => {
    if (values.length === 0) return '';
    const speeds = values.map((value) => value.tokensPerSecond).sort((a, b) => a - b);
    const [least = 0] = speeds;
    const most = speeds.at(-1) ?? least;
    const sources = [...new Set(values.map((value) => value.source))].join(', ');
    const figures =
      least === most ? formatSignificant(least) : `${formatSignificant(least)} to ${formatSignificant(most)}`;
    return `${name} ${figures} (${values.length} from ${sources})`;
  };
  const texts = [range(published?.prompt ?? [], 'pp'), range(published?.generation ?? [], 'tg')];
  return texts.filter((text) => text !== '').join('; ') || 'none';
}

function documentOf(row: Row, flags: PredictFlags, published: Published | undefined) {
  const { model, target, depth } = row;
  return {
    model: model.title,
    modelId: model.id,
    quantisation: model.mix,
    trainedContextTokens: model.shape.contextLength,
    machine: target.name,
    machineId: target.machineId,
    device: target.device.id,
    deviceCount: target.device.count,
    backend: target.backend.exact,
    depthTokens: depth,
    weightsFit: weightsFit(target, row.configuration),
    memory: memoryNeed(target, model, settingsOf(flags, depth), contextOf(depth, flags.prompt)),
    generation: row.generation,
    prompt: row.prompt,
    firstTokenSeconds: row.firstToken,
    ...(published === undefined ? {} : { published }),
  };
}

/** A line longer than this is no query. */
const MAX_LINE_LENGTH = 100_000;

async function answerBatch(from: string, to: string, context: CliContext): Promise<ExitCode> {
  const predictor = openPredictor(context);
  if (existsSync(from) && statSync(from).isDirectory()) {
    throw new CommandFailure(`The queries cannot be read from ${from}: it is a folder.`);
  }
  if (existsSync(from) && existsSync(to) && realpathSync(from) === realpathSync(to)) {
    throw new UsageError(`The answers would replace the queries in ${from}; name another file with -o.`);
  }
  const input = createReadStream(from, 'utf8');
  await once(input, 'open').catch((error: unknown) => {
    throw new CommandFailure(
      `The queries cannot be read from ${from} (${reasonOf(error)}); check its path and its permissions.`,
      { cause: error },
    );
  });
  // The answers appear whole; only what is no plain file, such as a pipe, is written as it comes.
  const inPlace = existsSync(to) && !statSync(to).isFile();
  const draft = inPlace ? to : `${to}.${process.pid}.part`;
  const output = createWriteStream(draft, { flush: !inPlace });
  await once(output, 'open').catch((error: unknown) => {
    throw unwritable(to, error);
  });
  let answered = 0;
  let refused = 0;
  const start = process.hrtime.bigint();
  async function* answers(): AsyncGenerator<string> {
    let number = 0;
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number += 1;
      if (line.trim() === '') continue;
      const query = line.length > MAX_LINE_LENGTH ? null : parsed(line);
      const answer = query === null ? notJson(number) : predictor.answer(query);
      if ('error' in answer) refused += 1;
      else answered += 1;
      yield `${JSON.stringify(answer)}\n`;
    }
  }
  try {
    await pipeline(answers(), output, { signal: context.signal });
    if (!inPlace) await rename(draft, to);
  } catch (error) {
    if (!inPlace) await rm(draft, { force: true });
    context.signal.throwIfAborted();
    // A reader at the other end of a pipe that has read enough, such as `head`, is no error.
    if (inPlace && reasonOf(error) === 'EPIPE') return 0;
    const ofFile = error instanceof Error && 'syscall' in error && error.syscall !== 'read';
    throw ofFile ? unwritable(to, error) : error;
  }
  const took = seconds(Number(process.hrtime.bigint() - start) / 1e9);
  context.stderr(
    `${answered} queries answered, ${refused} refused with their reason, in ${formatSeconds(took)}`,
  );
  return answered === 0 && refused > 0 ? 1 : 0;
}

const notJson = (line: number): BatchError => ({
  id: null,
  error: {
    code: 'invalid-query',
    message: `Line ${line} is not a JSON object of at most ${MAX_LINE_LENGTH} characters.`,
  },
});

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

const unwritable = (file: string, cause: unknown): CommandFailure =>
  new CommandFailure(
    `The answers cannot be written to ${file} (${reasonOf(cause)}); give the path of a file in a folder that exists, on a disk with room.`,
    { cause },
  );

const reasonOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error);
