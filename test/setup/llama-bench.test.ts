import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { buildLlamaBench } from './llama-bench.ts';

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the official llama-bench', () => {
  it('is built against the libraries of the embedded engine, once', async () => {
    const executable = await buildLlamaBench();
    expect(execFileSync(executable, ['--help'], { encoding: 'utf8' })).toContain('--n-prompt');
    const started = performance.now();
    expect(await buildLlamaBench()).toBe(executable);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
