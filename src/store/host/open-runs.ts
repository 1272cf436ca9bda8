import { existsSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';

/**
 * Which runs have begun and not yet been shown to the user. A process that is killed between its last record and its
 * printing leaves its run here, and the same command then prints it instead of measuring everything again.
 */
export interface OpenRuns {
  begin(run: string): Promise<void>;
  has(run: string): boolean;
  end(run: string): Promise<void>;
}

/** @param folder - holds one empty file a run; it need not exist. */
export function openRuns(folder: string): OpenRuns {
  const fileOf = (run: string): string => path.join(folder, encodeURIComponent(run));
  return {
    async begin(run) {
      await mkdir(folder, { recursive: true });
      await (await open(fileOf(run), 'a')).close();
    },
    has: (run) => existsSync(fileOf(run)),
    end: (run) => rm(fileOf(run), { force: true }),
  };
}
