import { open, rm } from 'node:fs/promises';
import { planSyntheticFile, type SyntheticModel } from '../synthetic/file-plan.ts';

/**
 * Writes the header of a model's file and leaves its weights a hole: a file of the full size that takes no room, for
 * an engine that looks at shapes alone.
 */
export async function writeSparse(model: SyntheticModel, path: string): Promise<void> {
  const layout = planSyntheticFile(model);
  const file = await open(path, 'wx');
  try {
    await file.write(layout.header);
    await file.truncate(layout.fileBytes);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}
