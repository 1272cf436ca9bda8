import type { GgufHeader } from './gguf/parse-header.ts';
import type { ModelTensor } from './tensors.ts';

/** What a file really has of the tensors of its model. */
type FileTensors = GgufHeader['tensors'];

/**
 * The tensors of a model in the types that a file has them in, whatever the rules of its mix say: dynamic quantisations
 * choose types of their own. A tensor that the file has not, or in another size, stays as it was.
 */
export function inTypesOfFile(tensors: readonly ModelTensor[], file: FileTensors): ModelTensor[] {
  const byName = new Map(file.map((tensor) => [tensor.name, tensor]));
  return tensors.map((tensor) => {
    const found = byName.get(tensor.name);
    return found === undefined || !isSameSize(tensor, found)
      ? tensor
      : { ...tensor, type: found.type, bytes: found.bytes };
  });
}

/** Whether the file has every one of the tensors, in its size. */
export function hasAllTensors(file: FileTensors, tensors: readonly ModelTensor[]): boolean {
  const byName = new Map(file.map((tensor) => [tensor.name, tensor]));
  return tensors.every((tensor) => {
    const found = byName.get(tensor.name);
    return found !== undefined && isSameSize(tensor, found);
  });
}

/** Trailing dimensions of 1 are left out by some writers. */
const isSameSize = (
  { dims: a }: Pick<ModelTensor, 'dims'>,
  { dims: b }: Pick<FileTensors[number], 'dims'>,
): boolean =>
  a.reduce((product, each) => product * each, 1) === b.reduce((product, each) => product * each, 1) &&
  a[0] === b[0];
