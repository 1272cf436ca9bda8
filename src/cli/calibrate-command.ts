import type { Command } from 'commander';
import type { Enter } from './context.ts';
import type { CalibrateFlags } from './prediction-options.ts';
import { BACKEND_OPTION, ENGINE_OPTION } from './engine-options.ts';

/** Defines `calibrate`. */
export function configureCalibrate(command: Command, enter: Enter): void {
  command
    .option(
      '--machine <device>',
      'the entry of the catalogue that describes this machine (default: the one found)',
    )
    .option('--from-records', 'measure nothing: learn from what check and bench have measured here')
    .option('--json', 'print one JSON document')
    .addOption(BACKEND_OPTION)
    .addOption(ENGINE_OPTION)
    .action((flags: CalibrateFlags) =>
      enter(async (context) => (await import('./calibrate.ts')).runCalibrate(flags, context)),
    );
}
