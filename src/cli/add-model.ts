import {
  CatalogDataError,
  readModelRecords,
  readOwnModels,
  removeOwnModel,
  writeOwnModel,
} from '../catalog/host/index.ts';
import { hiddenBy, type ModelRecord } from '../catalog/index.ts';
import {
  shapeFieldsOfConfig,
  shapeFieldsOfHeader,
  summariseHeader,
  type ShapeFields,
} from '../model/index.ts';
import { webAccessOf } from '../model/host/index.ts';
import { ownModelsDirectory, type CliContext } from './context.ts';
import { CommandFailure, UsageError, type ExitCode } from './exit.ts';
import { modelPlace, type ModelPlace, type ModelText } from './model-place.ts';

export interface AddFlags {
  /** The name that the model is to have. */
  readonly id?: string;
}

/**
 * Writes the record of a model into the data folder, from a config.json or from the header of a GGUF file.
 * @throws CommandFailure, GgufError, ConfigShapeError or HeaderShapeError when the source cannot be read as either.
 */
export async function addModel(source: string, flags: AddFlags, context: CliContext): Promise<ExitCode> {
  const place = modelPlace(source, webAccessOf(process.env, context.signal));
  const id = flags.id ?? idFrom(place.name);
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(id)) {
    throw new UsageError(`'${id}' cannot be the id of a model: small letters, digits, dots and dashes can.`);
  }
  const described = describe(await place.read(), id, place.label);
  const record = recordOf(described, place);
  const folder = ownModelsDirectory(context.paths);
  const before = readOwnModels(folder).find((each) => each.id === id);
  const target = await writeOwnModel(folder, record);
  context.stdout(`${id} was written to ${target}; every command knows it now.`);
  if (before !== undefined) {
    context.stderr(
      `It replaces the model of yours that had this name, from ${before.source.path}; --id gives it another name.`,
    );
  }
  const hidden = hiddenBy([record], readModelRecords()).map((each) => each.id);
  if (hidden.length > 0) {
    context.stderr(
      `It takes the place of ${hidden.join(', ')} of the catalogue until you call: ridgepoint models remove ${id}`,
    );
  }
  return 0;
}

/**
 * Removes a model that was added.
 * @throws CommandFailure when there is none of that id.
 */
export async function removeModel(id: string, context: CliContext): Promise<ExitCode> {
  const folder = ownModelsDirectory(context.paths);
  let own: readonly ModelRecord[];
  try {
    own = readOwnModels(folder);
  } catch (error) {
    // A file that cannot be read stops every command, and is to be removed by this one.
    if (!(error instanceof CatalogDataError && (await removeOwnModel(folder, id)))) throw error;
    context.stdout(`${id} was removed.`);
    return 0;
  }
  const record = own.find((each) => each.id === id);
  if (record === undefined) {
    throw new CommandFailure(
      readModelRecords().some((each) => each.id === id)
        ? `${id} is a model of the catalogue, and only models that you added can be removed.`
        : `You added no model '${id}'; ridgepoint models lists all that are known.`,
    );
  }
  const back = hiddenBy([record], readModelRecords()).map((each) => each.id);
  await removeOwnModel(folder, id);
  const known = back.length === 0 ? '' : ` ${back.join(', ')} of the catalogue is known again.`;
  context.stdout(`${id} was removed.${known}`);
  return 0;
}

function idFrom(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, '-')
    .replaceAll(/^[-.]+|[-.]+$/g, '');
}

/** What a file says of its model. */
interface Described extends Pick<ModelRecord, 'name' | 'publishedParameters' | 'confidence'> {
  readonly fields: ShapeFields;
}

/** How a record of the user's names its source: the file that it was made from. */
const OWN_FILE = 'own-file';

function describe(text: ModelText, id: string, label: string): Described {
  if (text.kind === 'config') {
    return {
      fields: shapeFieldsOfConfig(text.config, id, label),
      name: id,
      publishedParameters: [],
      confidence: 'verbatim-config',
    };
  }
  const { name, parameters } = summariseHeader(text.header);
  return {
    fields: shapeFieldsOfHeader(text.header, id, label),
    name: name ?? id,
    publishedParameters: [{ count: parameters, source: OWN_FILE, detail: 'weights of the file' }],
    confidence: 'gguf-dump',
  };
}

function recordOf({ fields, ...described }: Described, place: ModelPlace): ModelRecord {
  return {
    ...fields,
    ...described,
    family: fields.architecture,
    organisation: 'own',
    repository: `own/${fields.id}`,
    aliases: [],
    source: { id: OWN_FILE, path: place.origin },
    otherSources: [],
  };
}
