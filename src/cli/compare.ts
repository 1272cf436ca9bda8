import { predictTurn, type PredictedTurn } from '../predict/index.ts';
import { bytes, formatBytes, formatSeconds, formatSignificant } from '../units/index.ts';
import type { CompareFlags } from './prediction-options.ts';
import type { CliContext } from './context.ts';
import { CommandFailure, type ExitCode } from './exit.ts';
import { printDocument, printTable } from './output.ts';
import { settingsOf } from './predict.ts';
import { openModel, openPredictor, openTarget, weightsFit, type Target } from './prediction-target.ts';

interface Row {
  readonly target: Target;
  readonly turn: PredictedTurn;
  /** Whether the weights alone fit the memory: without, the speed is that of a larger card of the kind. */
  readonly weightsFit: boolean | null;
  /** The turn at the power under load; null where no power is known. */
  readonly joules: number | null;
  readonly tokensPerSecondPerThousandDollars: number | null;
  readonly tokensPerSecondPerWatt: number | null;
}

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
    const target = await openTarget(name, backend);
    if (target.device.peaks.fp16 === null && target.device.peaks.fp32 === null) {
      throw new CommandFailure(
        `No compute peak of ${target.name} is published, so its prompts cannot be predicted; leave it out.`,
      );
    }
    const configuration = model.configurationOn(target, settingsOf(flags, 0));
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
      joules: target.watts === null ? null : target.watts * turn.whole.value,
      tokensPerSecondPerThousandDollars: target.priceUsd === null ? null : (1000 * speed) / target.priceUsd,
      tokensPerSecondPerWatt: target.watts === null ? null : speed / target.watts,
    });
  }
  if (flags.json === true) {
    printDocument(context, 'comparison', {
      model: model.title,
      workload: { promptTokens: flags.prompt, outputTokens: flags.output, cachedShare: flags.cached },
      machines: rows.map(({ target, ...row }) => ({
        name: target.name,
        device: target.device.id,
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
  const between = ({ value, low, high }: PredictedTurn['whole']): string =>
    `${formatSeconds(value)} (${formatSeconds(low)} to ${formatSeconds(high)})`;
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
      ({
        target,
        turn,
        weightsFit: fits,
        joules,
        tokensPerSecondPerThousandDollars,
        tokensPerSecondPerWatt,
      }) => [
        target.name,
        target.backend.exact,
        formatSignificant(turn.promptTokensPerSecond),
        formatSignificant(turn.outputTokensPerSecond),
        between(turn.firstToken),
        between(turn.whole),
        known(
          target.memoryBytes,
          (value) => `${formatBytes(bytes(value))}${fits === false ? ', too little' : ''}`,
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
  return 0;
}
