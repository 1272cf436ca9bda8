import { existsSync } from 'node:fs';
import { turnCost, type TurnCost } from '../advise/index.ts';
import { predictTurn, withoutPeak, type PredictedTurn, type Predictor } from '../predict/index.ts';
import type { CompareFlags } from './prediction-options.ts';
import type { CliContext } from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';
import { settingsOf } from './predict.ts';
import { memoryNeed, warnOfContext, type MemoryNeed } from './prediction-memory.ts';
import { openModel, type PredictedModel } from './prediction-model.ts';
import {
  openPredictor,
  openTarget,
  ownMeasurements,
  weightsFit,
  type OwnMeasurements,
  type Target,
} from './prediction-target.ts';
import type { Unsupported } from '../model/index.ts';

/** A turn on a target: what comes out, what it takes. */
interface Turn {
  readonly promptTokens: number;
  readonly turn: PredictedTurn;
  readonly weightsFit: boolean | null;
  /** What model and context take: without the room, the speed is that of a larger card of the kind. */
  readonly memory: MemoryNeed | Unsupported;
  readonly cost: TurnCost;
}

/** Tokens of a prompt that is as short as a question with some context. */
const USUAL_PROMPT = 2048;
/** Characters of a line where the output is no terminal. */
const USUAL_WIDTH = 100;

/** Compares machines on a workload. */
export async function runCompare(
  machines: readonly string[],
  flags: CompareFlags,
  context: CliContext,
): Promise<ExitCode> {
  const model = await openModel(flags.model, context);
  const predictor = openPredictor(context);
  const prompts = flags.prompt ?? [USUAL_PROMPT];
  const kept = ownMeasurements(context);
  const leftOut: string[] = [];
  const compared: { readonly target: Target; readonly turns: readonly Turn[] }[] = [];
  for (const text of machines) {
    const target = await targetOf(text, kept);
    const fresh = Math.ceil(Math.max(...prompts) * (1 - flags.cached));
    const unknown = withoutPeak(model.configurationOn(target, settingsOf(flags, 0)), fresh);
    if (unknown !== null) {
      leftOut.push(target.name);
      context.stderr(
        `warning: no compute peak of ${unknown.id} is published, so the prompts of ${target.name} cannot be predicted; it is left out.`,
      );
      continue;
    }
    const longest = Math.max(...prompts) + flags.output;
    warnOfContext(target, model, settingsOf(flags, 0), longest, context);
    compared.push({
      target,
      turns: prompts.map((tokens) => turnOn(target, model, tokens, flags, predictor)),
    });
  }
  if (compared.length === 0) {
    throw new CommandFailure(
      'None of the machines has a published compute peak; ridgepoint predict tells how fast they generate.',
    );
  }
  const exitCode = leftOut.length === 0 ? 0 : 1;
  if (flags.json === true) {
    printDocument(context, 'comparison', {
      model: model.title,
      modelId: model.id,
      quantisation: model.mix,
      trainedContextTokens: model.shape.contextLength,
      workload: { promptTokens: prompts, outputTokens: flags.output, cachedShare: flags.cached },
      machines: compared.map(({ target, turns }) => ({
        name: target.name,
        machineId: target.machineId,
        device: target.device.id,
        deviceCount: target.device.count,
        backend: target.backend.exact,
        memoryBytes: target.memoryBytes,
        priceUsd: target.priceUsd,
        priceOf: priceOf(target),
        power: target.power,
        turns,
      })),
      leftOut,
    });
    return exitCode;
  }
  const { comparisonText } = await import('../report/index.ts');
  const { bold, dim } = context.colors;
  const { legend, tables, notes } = comparisonText(
    compared.map(({ target, turns }) => ({
      name: target.name,
      backend: target.backend.exact,
      memoryBytes: target.memoryBytes,
      priceUsd: target.priceUsd,
      priceOf: priceOf(target),
      power: target.power,
      turns: turns.map(({ promptTokens, turn, memory, cost }) => ({
        promptTokens,
        turn,
        cost,
        ...roomOf(memory),
      })),
    })),
    context.columns ?? USUAL_WIDTH,
  );
  const [shortest, longest] = [Math.min(...prompts), Math.max(...prompts)];
  const length = prompts.length === 1 ? `a prompt of ${shortest}` : `prompts of ${shortest} to ${longest}`;
  context.stdout(
    bold(
      `${model.title}: ${length} tokens, ${flags.cached === 0 ? 'nothing' : `${Math.round(100 * flags.cached)} %`} of it cached, and an answer of ${flags.output}`,
    ),
  );
  context.stdout(legend.join('\n'));
  for (const { head, rows } of tables) {
    context.stdout('\n');
    printTable(
      context,
      head.map((title, column) => ({ title, align: column === 0 ? 'left' : 'right' })),
      rows,
    );
  }
  context.stdout(dim(`\n${notes.join('\n')}`));
  return exitCode;
}

const priceOf = ({ machineId }: Target): 'machine' | 'device' => (machineId === null ? 'device' : 'machine');

async function targetOf(text: string, kept: OwnMeasurements): Promise<Target> {
  // A file of a saved machine may have the sign in its name.
  const at = existsSync(text) ? -1 : text.lastIndexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const backend = at < 0 ? undefined : text.slice(at + 1);
  if (name === '' || backend === '')
    throw new UsageError(`'${text}' is no machine; write MACHINE or MACHINE@BACKEND.`);
  return openTarget(name, backend, kept);
}

function turnOn(
  target: Target,
  model: PredictedModel,
  promptTokens: number,
  flags: CompareFlags,
  predictor: Predictor,
): Turn {
  const settings = settingsOf(flags, 0);
  const configuration = model.configurationOn(target, settings);
  const turn = predictTurn(
    predictor,
    configuration,
    { promptTokens, outputTokens: flags.output, cachedShare: flags.cached },
    model.id,
  );
  return {
    promptTokens,
    turn,
    weightsFit: weightsFit(target, configuration),
    memory: memoryNeed(target, model, settings, promptTokens + flags.output),
    cost: turnCost(turn, target.power?.watts ?? null, target.priceUsd),
  };
}

const FITS = { fits: 'yes', starves: 'barely', 'does-not-fit': 'no' } as const;

/** The memory that holds the model: the GPU's, or, without one, the system's. */
function roomOf(memory: Turn['memory']): {
  readonly neededBytes: number | null;
  readonly fits: (typeof FITS)[keyof typeof FITS] | null;
} {
  if ('unsupported' in memory) return { neededBytes: null, fits: null };
  const { deviceBytes, hostBytes, verdict } = memory;
  return {
    neededBytes: deviceBytes > 0 ? deviceBytes : hostBytes,
    fits: verdict === null ? null : FITS[verdict],
  };
}
