import { InvalidArgumentError, Option, type Command } from 'commander';
import {
  LLAMA_BENCH_FORMATS,
  renderLlamaBench,
  renderRecordTable,
  type LlamaBenchFormat,
} from '../report/index.ts';
import { openResultLog, type ResultLogContents } from '../store/host/index.ts';
import { resultLogPath, type CliContext, type Enter } from './context.ts';
import type { ExitCode } from './exit.ts';
import { printDocument } from './output.ts';

type Records = ResultLogContents['records'];

interface ListFlags {
  readonly last?: number;
  readonly json?: boolean;
}

interface ExportFlags {
  readonly last?: number;
  readonly output: LlamaBenchFormat;
}

/** Defines `results` and `results export`. */
export function configureResults(command: Command, enter: Enter): void {
  const last = (): Option => new Option('--last <n>', 'only the last n records').argParser(parseCount);
  command
    .command('list', { isDefault: true })
    .description('List the records of this machine, the oldest first.')
    .addOption(last())
    .option('--json', 'print one JSON document')
    .action((flags: ListFlags) => enter((context) => listResults(flags, context)));
  command
    .command('export')
    .description("Print the measured records in llama-bench's own schema; failures have no place in it.")
    .addOption(last())
    .addOption(
      new Option('-o, --output <format>', 'the format').choices(LLAMA_BENCH_FORMATS).makeOptionMandatory(),
    )
    .addHelpText('after', '\nExample:\n  ridgepoint results export -o sql | sqlite3 llama-bench.sqlite')
    .action((flags: ExportFlags) => enter((context) => exportResults(flags, context)));
}

async function listResults(flags: ListFlags, context: CliContext): Promise<ExitCode> {
  const records = await readRecords(flags.last, context);
  if (flags.json === true) {
    printDocument(context, 'results', { records });
    return 0;
  }
  const { bold, dim, red } = context.colors;
  context.stdout(renderRecordTable(records, { strong: bold, faint: dim, bad: red }));
  return 0;
}

async function exportResults(flags: ExportFlags, context: CliContext): Promise<ExitCode> {
  context.stdout(renderLlamaBench(await readRecords(flags.last, context), flags.output));
  return 0;
}

async function readRecords(last: number | undefined, context: CliContext): Promise<Records> {
  const log = openResultLog(resultLogPath(context.paths));
  const { records, damaged } = await log.readAll();
  for (const { line, reason } of damaged) {
    context.stderr(`warning: line ${line} of ${log.path} is left out: ${reason}`);
  }
  return last === undefined ? records : records.slice(-last);
}

function parseCount(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new InvalidArgumentError(`'${text}' is no number of records; write 10.`);
  return count;
}
