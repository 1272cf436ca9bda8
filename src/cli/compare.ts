import type { FitVerdict } from '../advise/index.ts';
import type { Unsupported } from '../model/index.ts';
import { predictTurn, withoutPeak, type PredictedTurn } from '../predict/index.ts';
import { bytes, formatBytes, formatSignificant } from '../units/index.ts';
import type { CompareFlags } from './prediction-options.ts';
import type { CliContext } from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';
import { duration, settingsOf } from './predict.ts';
import { memoryNeed, warnOfContext, type MemoryNeed } from './prediction-memory.ts';
import { openModel, openPredictor, openTarget, weightsFit, type Target } from './prediction-target.ts';

interface Row {
  readonly target: Target;
  readonly turn: PredictedTurn;
  readonly weightsFit: boolean | null;
  /** What model and context take: without the room, the speed is that of a larger card of the kind. */
  readonly memory: MemoryNeed | Unsupported;
  /** The turn at the power under load; null where no power is known. */
  readonly joules: number | null;
  readonly tokensPerSecondPerThousandDollars: number | null;
  readonly tokensPerSecondPerWatt: number | null;
}

type Verdict = FitVerdict | 'unknown';
const MEMORY_REMARKS: Readonly<Record<Verdict, string>> = {
  fits: '',
  starves: ', just enough',
  'does-not-fit': ', too little',
  unknown: '',
};
const verdictOf = (memory: Row['memory']): Verdict =>
  'unsupported' in memory ? 'unknown' : (memory.verdict ?? 'unknown');

/** Compares machines on a workload. */
export async function runCompare(
  machines: readonly string[],
  flags: CompareFlags,
  context: CliContext,
): Promise<ExitCode> {
  const model = await openModel(flags.model, context);
  const predictor = openPredictor(context);
  const rows: Row[] = [];
  for (const text of machines) {
    const [name = '', backend] = text.split('@');
    if (name === '' || backend === '')
      throw new UsageError(`'${text}' is no machine; write MACHINE or MACHINE@BACKEND.`);
    const target = await openTarget(name, backend);
    const settings = settingsOf(flags, 0);
    const configuration = model.configurationOn(target, settings);
    const unknown = withoutPeak(configuration, Math.ceil(flags.prompt * (1 - flags.cached)));
    if (unknown !== null) {
      throw new CommandFailure(
        `No compute peak of ${unknown.id} is published, so the prompts of ${target.name} cannot be predicted; leave it out.`,
      );
    }
    warnOfContext(target, model, settings, flags.prompt + flags.output, context);
    const turn = predictTurn(
      predictor,
      configuration,
      { promptTokens: flags.prompt, outputTokens: flags.output, cachedShare: flags.cached },
      model.id,
    );
    const speed = turn.outputTokensPerSecond;
    rows.push({
      target,
      turn,
      weightsFit: weightsFit(target, configuration),
      memory: memoryNeed(target, model, settings, flags.prompt + flags.output),
      joules: target.watts === null ? null : target.watts * turn.whole.value,
      tokensPerSecondPerThousandDollars: target.priceUsd === null ? null : (1000 * speed) / target.priceUsd,
      tokensPerSecondPerWatt: target.watts === null ? null : speed / target.watts,
    });
  }
  if (flags.json === true) {
    printDocument(context, 'comparison', {
      model: model.title,
      modelId: model.id,
      quantisation: model.mix,
      trainedContextTokens: model.shape.contextLength,
      workload: { promptTokens: flags.prompt, outputTokens: flags.output, cachedShare: flags.cached },
      machines: rows.map(({ target, ...row }) => ({
        name: target.name,
        machineId: target.machineId,
        device: target.device.id,
        deviceCount: target.device.count,
        backend: target.backend.exact,
        memoryBytes: target.memoryBytes,
        priceUsd: target.priceUsd,
        watts: target.watts,
        ...row,
      })),
    });
    return 0;
  }
  const unknown = context.colors.dim('unknown');
  const known = (value: number | null, show: (value: number) => string): string =>
    value === null ? unknown : show(value);
  context.stdout(
    `${model.title}: a prompt of ${flags.prompt} tokens, ${Math.round(100 * flags.cached)} % of it cached, and an answer of ${flags.output}\n`,
  );
  printTable(
    context,
    [
      { title: 'machine' },
      { title: 'backend' },
      { title: 'pp', align: 'right' },
      { title: 'tg', align: 'right' },
      { title: 'first token', align: 'right' },
      { title: 'whole turn', align: 'right' },
      { title: 'memory', align: 'right' },
      { title: 'power', align: 'right' },
      { title: 'price', align: 'right' },
      { title: 'joules', align: 'right' },
      { title: 'tg / 1000 USD', align: 'right' },
      { title: 'tg / W', align: 'right' },
      { title: 'basis' },
    ],
    rows.map(
      ({ target, turn, memory, joules, tokensPerSecondPerThousandDollars, tokensPerSecondPerWatt }) => [
        target.name,
        target.backend.exact,
        formatSignificant(turn.promptTokensPerSecond),
        formatSignificant(turn.outputTokensPerSecond),
        duration(turn.firstToken),
        duration(turn.whole),
        known(
          target.memoryBytes,
          (value) => `${formatBytes(bytes(value))}${MEMORY_REMARKS[verdictOf(memory)]}`,
        ),
        known(target.watts, (value) => `${value} W`),
        known(target.priceUsd, (value) => `${value} USD`),
        known(joules, (value) => formatSignificant(value)),
        known(tokensPerSecondPerThousandDollars, (value) => formatSignificant(value)),
        known(tokensPerSecondPerWatt, (value) => formatSignificant(value)),
        turn.basis,
      ],
    ),
  );
  context.stdout(
    context.colors.dim(
      '\npp and tg in tokens/s, over the new part of the prompt and over the answer; joules of the whole turn at the power shown;\nin brackets the interval that is meant to hold four measurements of five',
    ),
  );
  return 0;
}
