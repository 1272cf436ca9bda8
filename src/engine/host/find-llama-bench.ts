import { constants } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import path from 'node:path';

/** Finds the llama-bench executables in the folders of a search path, in its order; links to the same file count once. */
export async function findLlamaBench(searchPath = process.env['PATH'] ?? ''): Promise<readonly string[]> {
  const found = new Map<string, string>();
  for (const folder of searchPath.split(path.delimiter)) {
    // An empty entry means the current folder, from which nothing should be run that was not named.
    if (folder === '') continue;
    const candidate = path.join(folder, process.platform === 'win32' ? 'llama-bench.exe' : 'llama-bench');
    const target = await executableTarget(candidate);
    if (target !== null && !found.has(target)) found.set(target, candidate);
  }
  return [...found.values()];
}

async function executableTarget(candidate: string): Promise<string | null> {
  try {
    if (!(await stat(candidate)).isFile()) return null;
    await access(candidate, constants.X_OK);
    return await realpath(candidate);
  } catch {
    // Not there, or not for us: most folders have none.
    return null;
  }
}
