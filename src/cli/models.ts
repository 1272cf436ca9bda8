import type { Command } from 'commander';
import { namesOfRecord, resolveModelLabel, type ModelRecord } from '../catalog/index.ts';
import {
  activeParameterCount,
  isSyntheticArchitecture,
  kvBytesPerToken,
  parameterCount,
  shapeOf,
} from '../model/index.ts';
import { bytes, formatBytes, formatSignificant } from '../units/index.ts';
import { addModel, removeModel, type AddFlags } from './add-model.ts';
import type { CliContext, Enter } from './context.ts';
import { CommandFailure, type ExitCode } from './exit.ts';
import { knownModels } from './known-models.ts';
import { printDocument, printTable } from './output.ts';

interface ModelRow {
  readonly id: string;
  readonly name: string;
  readonly architecture: string;
  /** null: there is no table of the tensors of the architecture. */
  readonly parameters: number | null;
  readonly activeParameters: number | null;
  readonly contextTokens: number;
  readonly nativeQuantisation: string | null;
  readonly kvCacheBytesPerToken: { readonly fullAttention: number; readonly slidingWindow: number };
}

/** Defines `models` and what it can do. */
export function configureModels(command: Command, enter: Enter): void {
  command
    .command('list', { isDefault: true })
    .description('List the models of the catalogue and your own.')
    .argument(
      '[search...]',
      'show only models whose id, name or architecture has this text, or that a whole name means, such as the one of a file',
    )
    .option('--json', 'print one JSON document')
    .action((search: readonly string[], flags: { readonly json?: boolean }) =>
      enter(async (context) => runModels(search.join(' '), flags.json === true, context)),
    );
  command
    .command('add')
    .argument(
      '<source>',
      'a config.json or a .gguf file, by its path or address, or organisation/repository of the Hugging Face hub',
    )
    .description('Write a model of your own into the data folder, so that every command knows it.')
    .option('--id <id>', 'the name that it is to have; else that of the file, or of its folder')
    .addHelpText(
      'after',
      '\nExamples:\n  ridgepoint models add Qwen3-30B-A3B/config.json\n  ridgepoint models add unsloth/Qwen3-30B-A3B-GGUF:Q4_K_M',
    )
    .action((file: string, flags: AddFlags) => enter((context) => addModel(file, flags, context)));
  command
    .command('remove')
    .argument('<id>', 'the id of a model of your own')
    .description('Remove a model that you added.')
    .action((id: string) => enter((context) => removeModel(id, context)));
}

function runModels(search: string, json: boolean, context: CliContext): ExitCode {
  const records = matching(search, knownModels(context));
  if (records.length === 0 && !json) {
    throw new CommandFailure(
      `No model of the catalogue matches '${search}'; ridgepoint models lists them all.`,
    );
  }
  const models = records.map((record): ModelRow => {
    const shape = shapeOf(record);
    const known = isSyntheticArchitecture(shape.architecture);
    return {
      id: record.id,
      name: record.name,
      architecture: record.architecture,
      parameters: known ? parameterCount(shape) : null,
      activeParameters: known ? activeParameterCount(shape) : null,
      contextTokens: record.contextLength,
      nativeQuantisation: record.nativeQuantisation ?? null,
      kvCacheBytesPerToken: kvBytesPerToken(shape, 'F16', 'F16'),
    };
  });
  if (json) printDocument(context, 'models', { models });
  else printModels(models, context);
  return 0;
}

/** The models that have the text in a name; where none has it, the one that the text names in a spelling of its own. */
function matching(search: string, known: readonly ModelRecord[]): readonly ModelRecord[] {
  const wanted = search.toLowerCase();
  const having = known.filter((record) =>
    [record.name, record.architecture, ...namesOfRecord(record)].some((text) =>
      text.toLowerCase().includes(wanted),
    ),
  );
  if (having.length > 0) return having;
  const meant = resolveModelLabel(search, known);
  return meant === null ? [] : [meant.record];
}

function printModels(models: readonly ModelRow[], context: CliContext): void {
  printTable(
    context,
    [
      { title: 'model' },
      { title: 'architecture' },
      { title: 'parameters', align: 'right' },
      { title: 'active', align: 'right' },
      { title: 'context', align: 'right' },
      { title: 'KV per token (f16)', align: 'right' },
    ],
    models.map((model) => [
      model.id,
      model.architecture,
      billions(model.parameters),
      model.activeParameters === model.parameters ? '' : billions(model.activeParameters),
      String(model.contextTokens),
      kvText(model.kvCacheBytesPerToken),
    ]),
  );
}

const billions = (count: number | null): string =>
  count === null ? 'unknown' : `${formatSignificant(count / 1e9)} B`;

function kvText({ fullAttention, slidingWindow }: ModelRow['kvCacheBytesPerToken']): string {
  const full = formatBytes(bytes(fullAttention));
  return slidingWindow === 0 ? full : `${full} + ${formatBytes(bytes(slidingWindow))} in the window`;
}
