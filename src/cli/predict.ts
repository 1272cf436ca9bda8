import { predictTurn, withoutPeak, type Configuration, type Predictor } from '../predict/index.ts';
import type { PredictedRow } from '../report/index.ts';
import { formatSignificant } from '../units/index.ts';
import type { CliContext } from './context.ts';
import { UsageError, type ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';
import type { PredictFlags, SettingFlag } from './prediction-options.ts';
import { memoryNeed, warnOfContext } from './prediction-memory.ts';
import { openModel, type PredictedModel, type Settings } from './prediction-model.ts';
import { openPredictor, openTarget, ownMeasurements, weightsFit, type Target } from './prediction-target.ts';

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
    return (await import('./predict-batch.ts')).answerBatch(flags.batch, flags.output, context);
  }
  if (flags.output !== undefined)
    throw new UsageError('-o is where --batch writes its answers; with models, redirect --json instead.');
  if (models.length === 0)
    throw new UsageError('Name a model, such as qwen3-30b-a3b:Q4_K_M, or a file with --batch.');
  const depths = flags.depth ?? [0];
  const prompts = flags.prompt ?? [USUAL_PROMPT];
  const predictor = openPredictor(context);
  const rows: Row[] = [];
  // A wrong name is said first: the machine may need minutes of calibration.
  const opened: PredictedModel[] = [];
  for (const text of models) opened.push(await openModel(text, context));
  const targets: Target[] = [];
  const kept = ownMeasurements(context);
  for (const machine of flags.machine ?? [undefined]) {
    for (const backend of flags.backend ?? [undefined])
      targets.push(await openTarget(machine, backend, kept));
  }
  for (const model of opened) {
    for (const target of targets) {
      const deepest = contextOf(Math.max(...depths), Math.max(...prompts), flags.gen);
      warnOfContext(target, model, settingsOf(flags, 0), deepest, context);
      for (const depth of depths) {
        for (const promptTokens of prompts)
          rows.push(predictRow({ model, target, depth, promptTokens, flags, predictor }));
      }
    }
  }
  const measured = flags.measured === true ? await publishedBeside(rows) : null;
  if (flags.json === true) {
    printDocument(context, 'predictions', {
      predictions: rows.map((row, index) => documentOf(row, flags, measured?.[index])),
    });
    return 0;
  }
  const { predictionText } = await import('../report/index.ts');
  const { bold, dim } = context.colors;
  const { heading, table, notes } = predictionText(rows);
  context.stdout(heading.map((line) => bold(line)).join('\n'));
  printTable(context, columnsOf(table.head), table.rows);
  if (measured !== null) {
    const some = measured.some(({ prompt, generation }) => prompt.length + generation.length > 0);
    context.stdout(
      `\npublished of the same model, device, kind of backend, depth and prompt:${some ? '' : ' nothing'}`,
    );
    const speeds = table.head.findIndex((title) => title.startsWith('pp'));
    for (const [index, row] of table.rows.entries()) {
      const text = publishedText(measured[index]);
      const place = row.slice(0, speeds).map((cell, column) => `${table.head[column]} ${cell}`);
      if (text !== '') context.stdout(`  ${place.join(', ')}: ${text}`);
    }
  }
  context.stdout(dim(`\n${notes.join('\n')}`));
  return 0;
}

/** Tokens of a prompt of llama-bench. */
const USUAL_PROMPT = 512;

/** Columns of words to the left, of numbers to the right. */
function columnsOf(head: readonly string[]): { title: string; align: 'left' | 'right' }[] {
  return head.map((title) => ({
    title,
    align: ['model', 'on', 'basis'].includes(title) ? 'left' : 'right',
  }));
}

/** Tokens for which there has to be room: those in the cache, and the longer of the two tests. */
const contextOf = (depth: number, prompt: number, generated: number): number =>
  depth + Math.max(prompt, generated);

interface Row extends PredictedRow {
  readonly of: PredictedModel;
  readonly target: Target;
  readonly configuration: Configuration;
}

interface Wanted {
  readonly model: PredictedModel;
  readonly target: Target;
  readonly depth: number;
  readonly promptTokens: number;
  readonly flags: PredictFlags;
  readonly predictor: Predictor;
}

function predictRow({ model, target, depth, promptTokens, flags, predictor }: Wanted): Row {
  const configuration = model.configurationOn(target, settingsOf(flags, depth));
  const common = {
    model: model.title,
    machine: `${target.name}, ${target.backend.exact}`,
    of: model,
    target,
    configuration,
    depthTokens: depth,
    promptTokens,
    generation: predictor.predict(
      configuration,
      { metric: 'generation', context: depth + flags.gen / 2 },
      model.id,
    ),
  };
  if (withoutPeak(configuration, promptTokens) !== null) return { ...common, prompt: null, firstToken: null };
  const turn = {
    promptTokens: depth + promptTokens,
    outputTokens: 1,
    cachedShare: depth / (depth + promptTokens),
  };
  return {
    ...common,
    prompt: predictor.predict(configuration, { metric: 'prompt', tokens: promptTokens }, model.id),
    firstToken: predictTurn(predictor, configuration, turn, model.id).firstToken,
  };
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
        prepared.modelId === row.of.id &&
        prepared.configuration.quantisation.name === own.quantisation.name &&
        prepared.configuration.device.id === own.device.id &&
        prepared.configuration.device.count === own.device.count &&
        prepared.configuration.backend.family === own.backend.family &&
        prepared.configuration.depth === row.depthTokens &&
        (prepared.metric === 'generation' || prepared.promptTokens === row.promptTokens);
      if (same) found[index]?.[prepared.metric].push({ tokensPerSecond, source: source.repository });
    }
  }
  return found;
}

interface Value {
  readonly tokensPerSecond: number;
  readonly source: string;
}

/** Empty where nothing is published. */
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
  return texts.filter((text) => text !== '').join('; ');
}

function documentOf(row: Row, flags: PredictFlags, published: Published | undefined) {
  const { of: model, target, depthTokens, promptTokens } = row;
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
    depthTokens,
    promptTokens,
    generatedTokens: flags.gen,
    weightsFit: weightsFit(target, row.configuration),
    memory: memoryNeed(
      target,
      model,
      settingsOf(flags, depthTokens),
      contextOf(depthTokens, promptTokens, flags.gen),
    ),
    generation: row.generation,
    prompt: row.prompt,
    firstTokenSeconds: row.firstToken,
    ...(published === undefined ? {} : { published }),
  };
}
