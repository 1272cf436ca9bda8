import { bytes } from '../../units/index.ts';
import { GgufError } from './gguf-error.ts';
import type { GgufHeader } from './parse-header.ts';

/** The most files of one model that are read; the largest published sets have about fifty (Ling-1T: 46). */
const MAX_SPLIT_FILES = 512;

/** `llama_split_path`, src/llama.cpp: the number of the file and of all files, five digits each. */
const SPLIT_NAME = /-(\d{5})-of-(\d{5})\.gguf$/i;

/** The names of all files of a set, when the name is that of one of several; null when it stands alone. */
export function splitSetOf(name: string): readonly string[] | null {
  const match = SPLIT_NAME.exec(name);
  if (match === null) return null;
  const [suffix, , total = ''] = match;
  const count = Number(total);
  if (count < 2) return null;
  if (count > MAX_SPLIT_FILES) {
    throw new GgufError(
      'limit-exceeded',
      `${name} is one of ${count} files by its name, more than the ${MAX_SPLIT_FILES} that are read.`,
    );
  }
  const stem = name.slice(0, -suffix.length);
  const digits = (value: number): string => String(value).padStart(5, '0');
  return Array.from({ length: count }, (_, index) => `${stem}-${digits(index + 1)}-of-${total}.gguf`);
}

/** The part of a name before the numbers of a set and the ending. */
export function stemOf(name: string): string {
  return name.replace(SPLIT_NAME, '').replace(/\.gguf$/i, '');
}

/**
 * The header of a whole model from those of its files: the metadata of the first, the tensors of all. Offsets stay
 * those within each file.
 * @param parts - in order; one is the model itself.
 * @param label - how errors name the set.
 * @throws GgufError when the files do not belong together.
 */
export function mergeParts(parts: readonly GgufHeader[], label: string): GgufHeader {
  const [first] = parts;
  if (first === undefined) throw new RangeError('a model has one file at least');
  const count = first.metadata.get('split.count') ?? 1;
  if (typeof count === 'number' && count > 1 && count !== parts.length) {
    throw new GgufError(
      'incomplete-set',
      `${label} is one of ${count} files; keep their names, which end in -00001-of-${String(count).padStart(5, '0')}.gguf, so that the others are found.`,
    );
  }
  for (const [index, part] of parts.entries()) {
    const own = part.metadata.get('split.no');
    if (parts.length > 1 && own !== index) {
      throw new GgufError(
        'incomplete-set',
        `File ${index + 1} of ${label} says that it is another one of its set; copy or download the set again.`,
      );
    }
  }
  const tensors = parts.flatMap((part) => part.tensors);
  if (new Set(tensors.map(({ name }) => name)).size !== tensors.length) {
    throw new GgufError(
      'incomplete-set',
      `The files of ${label} hold a tensor twice; download the set again.`,
    );
  }
  const expected = first.metadata.get('split.tensors.count');
  if (parts.length > 1 && typeof expected === 'number' && expected !== tensors.length) {
    throw new GgufError(
      'incomplete-set',
      `The files of ${label} hold ${tensors.length} tensors where ${expected} are expected; download the set again.`,
    );
  }
  return { ...first, tensors, fileBytes: bytes(parts.reduce((sum, part) => sum + part.fileBytes, 0)) };
}
