import type { Command } from 'commander';
import { lstat } from 'node:fs/promises';
import { modelFrom, webAccessOf, writeSynthetic } from '../model/host/index.ts';
import { fewestRunnableLayers, sampleLayers, type MixName, type ModelShape } from '../model/index.ts';
import { formatBytes } from '../units/index.ts';
import type { CliContext, Enter } from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';
import { knownModels } from './known-models.ts';
import { IntegerListError, parseIntegerList } from './integer-list.ts';
import { warnOfOtherTypes } from './other-types.ts';
import { printDocument } from './output.ts';
import { startByteProgress } from './progress.ts';

interface SynthFlags {
  readonly output: string;
  readonly layers?: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** Defines `synth`. */
export function configureSynth(command: Command, enter: Enter): void {
  command
    .argument('<model>', 'a model of the catalogue with its quantisation, such as llama-2-7b:Q4_0')
    .requiredOption('-o, --output <file>', 'the GGUF file to write')
    .option('--layers <layers>', 'how many layers to sample (4), or which ones (0,1,2)')
    .option('--force', 'replace a file that exists')
    .option('--json', 'print one JSON document about the file')
    .action((model: string, flags: SynthFlags) => enter((context) => runSynth(model, flags, context)));
}

async function runSynth(name: string, flags: SynthFlags, context: CliContext): Promise<ExitCode> {
  const named = await modelFrom(name, {
    records: knownModels(context),
    access: webAccessOf(process.env, context.signal),
  });
  warnOfOtherTypes(named, context);
  const { id, shape, mix: quantisation } = named;
  const layers = flags.layers === undefined ? undefined : chooseLayers(flags.layers, shape, quantisation);
  await refuseExisting(flags.output, flags.force === true);
  const progress = startByteProgress(`${id} ${quantisation}`, context);
  try {
    const file = await writeSynthetic({
      shape,
      mix: quantisation,
      layers,
      path: flags.output,
      signal: context.signal,
      onProgress: ({ writtenBytes, totalBytes }) => progress.update(writtenBytes, totalBytes),
    });
    progress.stop();
    if (flags.json === true) {
      printDocument(context, 'synthetic-model', {
        model: id,
        quantisation,
        layers: layers ?? null,
        file: file.path,
        fileBytes: file.bytes,
        shapeHash: file.shapeHash,
      });
    } else {
      context.stdout(`${file.path}: ${id} ${quantisation}, ${formatBytes(file.bytes)}, random weights`);
    }
    return 0;
  } finally {
    progress.stop();
  }
}

/** One number is how many to sample; several are the layers themselves. */
function chooseLayers(text: string, shape: ModelShape, mix: MixName): number[] {
  const values = parseLayerList(text);
  const [count] = values;
  if (values.length === 1 && count !== undefined && !text.includes(',')) {
    if (count < 1 || count > shape.layers) {
      throw new UsageError(
        `${shape.id} has ${shape.layers} layers; --layers ${text} asks for ${count} of them.`,
      );
    }
    const fewest = fewestRunnableLayers(shape);
    if (count < fewest) {
      throw new UsageError(
        `llama.cpp runs no fewer than ${fewest} layers of ${shape.id}; give --layers ${fewest} or more.`,
      );
    }
    return sampleLayers(shape, mix, count);
  }
  const foreign = values.find((layer) => layer >= shape.layers);
  if (foreign !== undefined) {
    throw new UsageError(
      `${shape.id} has the layers 0 to ${shape.layers - 1}; there is no layer ${foreign}.`,
    );
  }
  return values;
}

function parseLayerList(text: string): number[] {
  try {
    return parseIntegerList(text);
  } catch (error) {
    if (error instanceof IntegerListError) throw new UsageError(`--layers: ${error.message}`);
    throw error;
  }
}

async function refuseExisting(file: string, force: boolean): Promise<void> {
  const found = await lstat(file).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  });
  if (found === null) return;
  if (found.isDirectory()) throw new CommandFailure(`${file} is a folder; give the path of a file in it.`);
  if (!force) throw new CommandFailure(`${file} exists; give another path, or --force to replace it.`);
}
