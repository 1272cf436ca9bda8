import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Enter } from './context.ts';
import { asArgument, parseIntegerList } from './integer-list.ts';
import type { PredictFlags } from './prediction-options.ts';

const MOST_TOKENS = 2 ** 24;
/** More layers than any model has (`LLAMA_MAX_LAYERS`, src/llama-hparams.h, v0.5.0); so many on the GPU are all. */
const MOST_LAYERS = 512;

/** Depths, as llama-bench takes them: `0,4096`, `0-8192+4096`, `1024-16384*2`; in order, each once. */
export const tokenDepths = (text: string, before?: readonly number[]): readonly number[] =>
  tokenList(text, 0, before);

/** Lengths of prompts, in the same way. */
export const promptLengths = (text: string, before?: readonly number[]): readonly number[] =>
  tokenList(text, 1, before);

/** @param before - what the option was given earlier on the line: lists add up, as they do in `bench`. */
function tokenList(text: string, least: number, before: readonly number[] = []): readonly number[] {
  const values = asArgument(text, (list) => parseIntegerList(list, { minimum: least }));
  if (values.some((value) => value > MOST_TOKENS))
    throw new InvalidArgumentError(`'${text}' has a number above ${MOST_TOKENS} tokens; write less.`);
  return [...new Set([...before, ...values])].sort((a, b) => a - b);
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

/** llama-bench's `-n`: tg is that of the depth in the middle of these tokens. */
export const GENERATED_OPTION = new Option('-n, --gen <tokens>', 'tokens that are generated')
  .argParser(tokenCount)
  .default(128);

/** Defines `predict`. */
export function configurePredict(command: Command, enter: Enter): void {
  addSettings(command)
    .argument('[models...]', 'name:QUANT of the catalogue, a GGUF file or organisation/repository:QUANT')
    .addOption(
      new Option(
        '--machine <machine>',
        'a machine or device of the catalogue, a saved machine file, or this; more with commas (default: this)',
      ).argParser(collect),
    )
    .addOption(
      new Option(
        '--backend <backend>',
        'cpu, cuda, metal, rocm, vulkan, with a variant where known; more with commas',
      ).argParser(collect),
    )
    .addOption(
      new Option(
        '-d, --depth <list>',
        'tokens already in the cache: 0,4096 or 0-8192+4096 (default: 0)',
      ).argParser(tokenDepths),
    )
    .addOption(
      new Option(
        '-p, --prompt <list>',
        'tokens of the prompt: 512,2048 or 512-8192*2 (default: 512)',
      ).argParser(promptLengths),
    )
    .addOption(GENERATED_OPTION)
    .option('--measured', 'show published measurements of the same configurations beside the predictions')
    .option('--batch <file>', 'answer queries, one JSON object a line; needs -o')
    .option('-o, --output <file>', 'where --batch writes its answers, one a line')
    .option('--json', 'print one JSON document')
    .action((models: readonly string[], flags: PredictFlags) =>
      enter(async (context) => (await import('./predict.ts')).runPredict(models, flags, context)),
    );
}
