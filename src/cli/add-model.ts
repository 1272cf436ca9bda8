import { open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { writeOwnModel } from '../catalog/host/index.ts';
import type { ModelRecord } from '../catalog/index.ts';
import {
  shapeFieldsOfConfig,
  shapeFieldsOfHeader,
  summariseHeader,
  type ShapeFields,
} from '../model/index.ts';
import { readGgufHeader } from '../model/host/index.ts';
import { ownModelsDirectory, type CliContext } from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';

/** Published configurations have some kilobytes; the largest, with a list for each layer, some tens of them. */
const MAX_CONFIG_BYTES = 4 * 2 ** 20;

export interface AddFlags {
  /** The name that the model is to have. */
  readonly id?: string;
}

/** What a file says of its model. */
interface Described extends Pick<ModelRecord, 'name' | 'publishedParameters' | 'confidence'> {
  readonly fields: ShapeFields;
}

/**
 * Writes the record of a model into the data folder, from a config.json or from the header of a GGUF file.
 * @throws CommandFailure when the file cannot be read as either.
 */
export async function addModel(source: string, flags: AddFlags, context: CliContext): Promise<ExitCode> {
  const id = flags.id ?? idFrom(source);
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(id)) {
    throw new UsageError(`'${id}' cannot be the id of a model: small letters, digits, dots and dashes can.`);
  }
  const described = (await isGguf(source)) ? await fromGguf(source, id) : await fromConfig(source, id);
  const target = await writeOwnModel(ownModelsDirectory(context.paths), recordOf(described, source));
  context.stdout(`${id} was written to ${target}; every command knows it now.`);
  return 0;
}

/** `Qwen3-30B-A3B/config.json` is named after its folder, `Qwen3-30B-A3B-Q4_K_M.gguf` after itself. */
function idFrom(source: string): string {
  const resolved = path.resolve(source);
  const base = path.basename(resolved, path.extname(resolved));
  const name = base === 'config' ? path.basename(path.dirname(resolved)) : base;
  return name
    .replace(/-\d{5}-of-\d{5}$/, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, '-')
    .replaceAll(/^[-.]+|[-.]+$/g, '');
}

/** 'GGUF', the first four bytes of such a file. */
const GGUF_MAGIC = 'GGUF';

async function isGguf(source: string): Promise<boolean> {
  if (source.toLowerCase().endsWith('.gguf')) return true;
  const found = await stat(source).catch(() => null);
  if (found === null) throw new CommandFailure(`There is no file ${source}; check its path.`);
  if (!found.isFile()) {
    throw new CommandFailure(`${source} is not a file; give the config.json or the .gguf file in it.`);
  }
  const file = await open(source, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(GGUF_MAGIC.length), 0, GGUF_MAGIC.length, 0);
    return buffer.toString('latin1', 0, bytesRead) === GGUF_MAGIC;
  } finally {
    await file.close();
  }
}

async function fromGguf(source: string, id: string): Promise<Described> {
  const header = await readGgufHeader(source);
  const { name, parameters } = summariseHeader(header);
  return {
    fields: shapeFieldsOfHeader(header, id, source),
    name: name ?? id,
    publishedParameters: [{ count: parameters, source: OWN_FILE, detail: 'weights of the file' }],
    confidence: 'gguf-dump',
  };
}

async function fromConfig(source: string, id: string): Promise<Described> {
  const { size } = await stat(source);
  if (size > MAX_CONFIG_BYTES) {
    throw new CommandFailure(
      `${source} has ${size} bytes and is neither a GGUF file nor a config.json, which have less than ${MAX_CONFIG_BYTES}.`,
    );
  }
  let config: unknown;
  try {
    config = JSON.parse(await readFile(source, 'utf8'));
  } catch (error) {
    throw new CommandFailure(
      `${source} is neither a GGUF file nor JSON; give a config.json or a .gguf file.`,
      {
        cause: error,
      },
    );
  }
  return {
    fields: shapeFieldsOfConfig(config, id, source),
    name: id,
    publishedParameters: [],
    confidence: 'verbatim-config',
  };
}

/** How a record of the user's names its source: the file that it was made from. */
const OWN_FILE = 'own-file';

function recordOf({ fields, ...described }: Described, source: string): ModelRecord {
  return {
    ...fields,
    ...described,
    family: fields.architecture,
    organisation: 'own',
    repository: `own/${fields.id}`,
    aliases: [],
    source: { id: OWN_FILE, path: path.resolve(source) },
    otherSources: [],
  };
}
