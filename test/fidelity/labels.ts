import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { buildLlamaBench } from '../setup/llama-bench.ts';
import { writeModel } from './models.ts';
import { printRows } from './table.ts';

const NAMES = ['llama-2-7b:Q4_0', 'qwen3-30b-a3b:Q4_K_M', 'gpt-oss-20b:MXFP4'] as const;

interface Row {
  readonly model_type: string;
  readonly model_size: number;
  readonly model_n_params: number;
}

/** What the official llama-bench says of whole synthetic models. */
export async function compareLabels(folder: string): Promise<void> {
  const llamaBench = await buildLlamaBench();
  const rows: string[][] = [];
  for (const name of NAMES) {
    const file = await writeModel(name, folder);
    const output = execFileSync(llamaBench, ['-m', file, '-p', '1', '-n', '0', '-r', '1', '-o', 'jsonl'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const line = output.split('\n').find((candidate) => candidate.startsWith('{')) ?? '{}';
    const row = JSON.parse(line) as Row;
    const size = `${(row.model_size / 2 ** 30).toFixed(2)} GiB`;
    rows.push([name, row.model_type, size, `${(row.model_n_params / 1e9).toFixed(2)} B`]);
    rmSync(file);
  }
  printRows(['synthetic model', 'llama-bench says', 'size', 'parameters'], rows);
}
