import { Option, type Command } from 'commander';
import { REPORT_FORMATS, type CheckOptions } from './check-options.ts';
import type { Enter } from './context.ts';
import { BACKEND_OPTION, ENGINE_OPTION, type Backend, type EngineChoice } from './engine-options.ts';

interface CheckFlags {
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly format: CheckOptions['format'];
  readonly backend?: Backend;
  readonly engine: EngineChoice;
}

/** Defines `check`. */
export function configureCheck(command: Command, enter: Enter): void {
  command
    .option('--quick', 'a shorter benchmark: less certain, done in a minute')
    .option('--json', 'print the report as one JSON document')
    .addOption(
      new Option('--format <format>', 'how to print the report').choices(REPORT_FORMATS).default('text'),
    )
    .addOption(BACKEND_OPTION)
    .addOption(ENGINE_OPTION)
    .action((flags: CheckFlags) =>
      enter(async (context) => {
        const { runCheck } = await import('./check.ts');
        const { quick, json, format, backend, engine } = flags;
        return runCheck(
          { quick: quick === true, json: json === true, format, backend: backend ?? null, engine },
          context,
        );
      }),
    );
}
