import { readModelRecords, readModelRecordsNaming, readOwnModels } from '../catalog/host/index.ts';
import { withOwnModels, type ModelRecord } from '../catalog/index.ts';
import { ownModelsDirectory, type CliContext } from './context.ts';

/** The user's own models and those of the catalogue. */
export function knownModels(context: CliContext): readonly ModelRecord[] {
  return withOwnModels(readOwnModels(ownModelsDirectory(context.paths)), readModelRecords());
}

/** Those among which a name is looked up: fewer, so that the answer is quick. */
export function knownModelsNaming(name: string, context: CliContext): readonly ModelRecord[] {
  return withOwnModels(readOwnModels(ownModelsDirectory(context.paths)), readModelRecordsNaming(name));
}
