import path from 'node:path';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import { resolveModelName } from '../../src/catalog/index.ts';
import { writeSynthetic } from '../../src/model/host/index.ts';
import { isMixName, MIX_NAMES, shapeOf, type MixName, type ModelShape } from '../../src/model/index.ts';

/** Shape and mix of a catalogue name. */
export function shapeNamed(name: string): { readonly shape: ModelShape; readonly mix: MixName } {
  const { record, quantisation } = resolveModelName(name, readModelRecords(), MIX_NAMES);
  if (!isMixName(quantisation)) throw new Error(`${name}: no such mix`);
  return { shape: shapeOf(record), mix: quantisation };
}

/** Writes the whole synthetic model into a folder and returns its path. */
export async function writeModel(name: string, folder: string): Promise<string> {
  const file = path.join(folder, `${name.replace(':', '-')}.gguf`);
  await writeSynthetic({ ...shapeNamed(name), path: file });
  return file;
}
