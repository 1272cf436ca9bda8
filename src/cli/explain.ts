import { writeFile } from 'node:fs/promises';
import { roofsFor, withoutPeak, type PredictedTest } from '../predict/index.ts';
import { testName, waterfallOf, waterfallSvg, waterfallText, type Waterfall } from '../report/index.ts';
import type { CliContext } from './context.ts';
import { CommandFailure, type ExitCode } from './exit.ts';
import type { ExplainFlags } from './prediction-options.ts';
import { printDocument } from './output.ts';
import { settingsOf } from './predict.ts';
import { warnOfContext } from './prediction-memory.ts';
import { openModel } from './prediction-model.ts';
import { openPredictor, openTarget, ownMeasurements } from './prediction-target.ts';

/** Shows where the time goes. */
export async function runExplain(text: string, flags: ExplainFlags, context: CliContext): Promise<ExitCode> {
  // As predict does: a wrong name is said first.
  const model = await openModel(text, context);
  const target = await openTarget(flags.machine, flags.backend, ownMeasurements(context));
  const predictor = openPredictor(context);
  const configuration = model.configurationOn(target, settingsOf(flags, flags.depth));
  const longest = flags.depth + Math.max(flags.prompt, flags.gen);
  warnOfContext(target, model, settingsOf(flags, flags.depth), longest, context);
  const roofs = roofsFor(configuration);
  const { host } = configuration;
  const beside =
    host === null
      ? null
      : {
          bandwidthBytesPerSecond: host.device.bandwidthBytesPerSecond,
          linkBytesPerSecond: host.linkBytesPerSecond,
        };
  const explain = (test: PredictedTest, promptTokens: number, generatedTokens: number): Waterfall => {
    const subject = {
      model: model.title,
      machine: target.name,
      backend: target.backend.exact,
      test: testName({ promptTokens, generatedTokens, depthTokens: flags.depth }),
    };
    const prediction = predictor.predict(configuration, test, model.id);
    return waterfallOf(subject, test.metric, prediction, roofs, beside);
  };
  const waterfalls = [explain({ metric: 'generation', context: flags.depth + flags.gen / 2 }, 0, flags.gen)];
  const withoutRoof = withoutPeak(configuration, flags.prompt);
  if (withoutRoof === null)
    waterfalls.push(explain({ metric: 'prompt', tokens: flags.prompt }, flags.prompt, 0));
  else {
    context.stderr(
      `warning: no compute peak of ${withoutRoof.id} is published, so the time of a prompt is not explained.`,
    );
  }
  if (flags.svg !== undefined) await writePicture(flags.svg, waterfallSvg(waterfalls));
  if (flags.json === true) printDocument(context, 'explanation', { waterfalls });
  else context.stdout(waterfalls.map(waterfallText).join('\n\n'));
  return 0;
}

async function writePicture(file: string, picture: string): Promise<void> {
  await writeFile(file, picture).catch((error: unknown) => {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CommandFailure(
      `${file} cannot be written (${why}); give the path of a file in a folder that exists.`,
      { cause: error },
    );
  });
}
