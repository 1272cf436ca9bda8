import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Enter } from './context.ts';
import type { PredictFlags } from './prediction-options.ts';

const MOST_TOKENS = 2 ** 24;
/** More layers than any model has (`LLAMA_MAX_LAYERS`, src/llama-hparams.h, v0.5.0); so many on the GPU are all. */
const MOST_LAYERS = 512;

/** A list of token counts: `0,4096,32768`. */
export function tokenCounts(text: string): readonly number[] {
  const counts = text.split(',').map((each) => countOf(each, 0));
  const known = counts.filter((count) => count !== null);
  if (known.length < counts.length) {
    throw new InvalidArgumentError(
      `'${text}' is no list of token counts from 0 to ${MOST_TOKENS}; write 0,4096,32768.`,
    );
  }
  return known;
}

/** A number of tokens of which there is at least one, such as those of a prompt. */
export function tokenCount(text: string): number {
  const count = countOf(text, 1);
  if (count === null)
    throw new InvalidArgumentError(`'${text}' is no token count from 1 to ${MOST_TOKENS}; write 512.`);
  return count;
}

/** Tokens in the cache, of which there may be none. */
export function tokenDepth(text: string): number {
  const count = countOf(text, 0);
  if (count === null)
    throw new InvalidArgumentError(`'${text}' is no token count from 0 to ${MOST_TOKENS}; write 4096.`);
  return count;
}

/** Layers of a model; -1, as llama.cpp has it, is all. */
export function layerCount(text: string): number {
  const count = text.trim() === '-1' ? MOST_LAYERS : countOf(text, 0);
  if (count === null || count > MOST_LAYERS)
    throw new InvalidArgumentError(`'${text}' is no number of layers from 0 to ${MOST_LAYERS}.`);
  return count;
}

function countOf(text: string, least: number): number | null {
  const count = /^\d{1,8}$/.test(text.trim()) ? Number(text) : Number.NaN;
  return count >= least && count <= MOST_TOKENS ? count : null;
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...value.split(','),
];

/** The options that all predictions share. */
export function addSettings(command: Command): Command {
  return command
    .addOption(new Option('--ubatch-size <tokens>', 'physical batch, -ub').argParser(tokenCount))
    .addOption(new Option('--flash-attn <how>', 'flash attention, -fa (default: on)').choices(['on', 'off']))
    .addOption(
      new Option('--cache-type <type>', 'type of the KV cache').choices([
        'f16',
        'q8_0',
        'q5_1',
        'q5_0',
        'q4_1',
        'q4_0',
      ]),
    )
    .addOption(
      new Option('--n-gpu-layers <layers>', 'layers on the GPU, -ngl (default: all)').argParser(layerCount),
    )
    .addOption(
      new Option('--n-cpu-moe <layers>', 'layers whose experts stay with the processor, -ncmoe').argParser(
        layerCount,
      ),
    )
    .option('--host-device <processor>', 'the processor beside a graphics card, for what stays with it');
}

/** Defines `predict`. */
export function configurePredict(command: Command, enter: Enter): void {
  addSettings(command)
    .argument('[models...]', 'name:QUANT of the catalogue, a GGUF file or organisation/repository:QUANT')
    .addOption(
      new Option(
        '--machine <machine>',
        'a machine or device of the catalogue, or a saved machine file; more with commas (default: this machine)',
      ).argParser(collect),
    )
    .addOption(
      new Option(
        '--backend <backend>',
        'cpu, cuda, metal, rocm, vulkan, with a variant where known; more with commas',
      ).argParser(collect),
    )
    .addOption(
      new Option('-d, --depth <tokens>', 'tokens already in the cache; a list with commas')
        .argParser(tokenCounts)
        .default([0], '0'),
    )
    .addOption(new Option('-p, --prompt <tokens>', 'tokens of the prompt').argParser(tokenCount).default(512))
    .option('--measured', 'show published measurements of the same configurations beside the predictions')
    .option('--batch <file>', 'answer queries, one JSON object a line; needs -o')
    .option('-o, --output <file>', 'where --batch writes its answers, one a line')
    .option('--json', 'print one JSON document')
    .action((models: readonly string[], flags: PredictFlags) =>
      enter(async (context) => (await import('./predict.ts')).runPredict(models, flags, context)),
    );
}
