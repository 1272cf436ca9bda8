import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod';
import type { CliPaths } from './context.ts';
import { CommandFailure } from './exit.ts';

const configSchema = z.object({
  schemaVersion: z.literal(1),
  /** The catalogue entry that describes this machine, where the match by name is wrong or impossible. */
  device: z.string().min(1).max(200).optional(),
});
export type Config = z.infer<typeof configSchema>;

const NO_CONFIG: Config = { schemaVersion: 1 };

/** What the user chose once and for all. */
const configPath = (paths: CliPaths): string => path.join(paths.config, 'config.json');

/**
 * Reads the user's configuration; none is an empty one.
 * @throws CommandFailure when the file is not valid.
 */
export async function readConfig(paths: CliPaths): Promise<Config> {
  const file = configPath(paths);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return NO_CONFIG;
    throw new CommandFailure(`${file} cannot be read; repair or remove it.`, { cause: error });
  }
  const parsed = configSchema.safeParse(parseJson(text));
  if (!parsed.success) {
    throw new CommandFailure(`${file} is not valid: ${z.prettifyError(parsed.error)}; repair or remove it.`);
  }
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Writes the configuration, and answers with the path of its file. */
export async function writeConfig(config: Config, paths: CliPaths): Promise<string> {
  const file = configPath(paths);
  await mkdir(paths.config, { recursive: true });
  await writeFileAtomic(file, `${JSON.stringify(config, null, 2)}\n`);
  return file;
}
