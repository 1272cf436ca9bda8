import type { Command } from 'commander';
import type { Enter } from './context.ts';
import { BACKEND_OPTION, ENGINE_OPTION, type Backend, type EngineChoice } from './engine-options.ts';

export interface CalibrateFlags {
  readonly machine?: string;
  readonly backend?: Backend;
  readonly engine: EngineChoice;
  readonly fromRecords?: boolean;
  readonly json?: boolean;
}

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
