import { writeFile } from 'node:fs/promises';
import { roofsFor, withoutPeak } from '../predict/index.ts';
import { waterfallOf, waterfallSvg, waterfallText, type Waterfall } from '../report/index.ts';
import type { CliContext } from './context.ts';
import { CommandFailure, type ExitCode } from './exit.ts';
import type { ExplainFlags } from './prediction-options.ts';
import { printDocument } from './output.ts';
import { settingsOf } from './predict.ts';
import { warnOfContext } from './prediction-memory.ts';
import { openModel, openPredictor, openTarget, ownMeasurements } from './prediction-target.ts';

/** Shows where the time goes. */
export async function runExplain(text: string, flags: ExplainFlags, context: CliContext): Promise<ExitCode> {
  const target = await openTarget(flags.machine, flags.backend, ownMeasurements(context));
  const model = await openModel(text, context);
  const predictor = openPredictor(context);
  const configuration = model.configurationOn(target, settingsOf(flags, flags.depth));
  warnOfContext(target, model, settingsOf(flags, flags.depth), flags.depth + flags.prompt, context);
  const roofs = roofsFor(configuration);
  const { host } = configuration;
  const beside =
    host === null
      ? null
      : {
          bandwidthBytesPerSecond: host.device.bandwidthBytesPerSecond,
          linkBytesPerSecond: host.linkBytesPerSecond,
        };
  const where = `${model.title} on ${target.name}, ${target.backend.exact}`;
  const at = flags.depth === 0 ? '' : ` at depth ${flags.depth}`;
  const waterfalls: Waterfall[] = [
    waterfallOf(
      `One token: ${where}${at}`,
      'generation',
      predictor.predict(
        configuration,
        { metric: 'generation', context: flags.depth + flags.gen / 2 },
        model.id,
      ),
      roofs,
      beside,
    ),
  ];
  if (withoutPeak(configuration, flags.prompt) === null) {
    waterfalls.push(
      waterfallOf(
        `A prompt of ${flags.prompt} tokens: ${where}${at}`,
        'prompt',
        predictor.predict(configuration, { metric: 'prompt', tokens: flags.prompt }, model.id),
        roofs,
        beside,
      ),
    );
  }
  if (flags.svg !== undefined && waterfalls[0] !== undefined)
    await writePicture(flags.svg, waterfallSvg(waterfalls[0]));
  if (flags.json === true) printDocument(context, 'explanation', { waterfalls });
  else context.stdout(waterfalls.map(waterfallText).join('\n\n'));
  return 0;
}

async function writePicture(file: string, picture: string): Promise<void> {
  await writeFile(file, picture).catch((error: unknown) => {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new CommandFailure(
      `${file} cannot be written (${why}); give the path of a file in a folder that exists.`,
      {
        cause: error,
      },
    );
  });
}
