import type { NamedModel } from '../model/host/index.ts';
import { formatBytes } from '../units/index.ts';
import type { CliContext } from './context.ts';

/** Says that a file has tensors of other types than the mix by whose rules it is treated. */
export function warnOfOtherTypes({ title, mix, file }: NamedModel, context: CliContext): void {
  if (file === null || file.otherTypes === 0) return;
  context.stderr(
    `${title} has ${file.otherTypes} of ${file.tensors.length} tensors in other types than ${mix} has: its weights take ${formatBytes(file.tensorBytes)}, those of ${mix}, which stand for them, ${formatBytes(file.mixBytes)}.`,
  );
}
