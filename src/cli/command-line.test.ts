import { describe, expect, it } from 'vitest';
import { findCommand } from './command-line.ts';
import { wantsColor } from './context.ts';
import { translateLlamaBenchFlags } from './llama-bench-flags.ts';

const words = (line: string): string[] => line.split(' ').filter((word) => word !== '');

describe('the command of a line', () => {
  it.each([
    ['', 'check', 'check'],
    ['--quick', 'check', 'check --quick'],
    ['--color never --json', 'check', '--color never check --json'],
    ['--color=never', 'check', '--color=never check'],
    ['--color never bench x', 'bench', '--color never bench x'],
    ['bench x -p 1', 'bench', 'bench x -p 1'],
    ['bnech', 'bnech', 'bnech'],
    ['--help', null, '--help'],
    ['--color never --version', null, '--color never --version'],
  ])('of "%s" is %s', (line, command, argv) => {
    expect(findCommand(words(line))).toEqual({ command, argv: words(argv) });
  });
});

describe("llama-bench's spelling", () => {
  it.each([
    ['bench x -pg 512,128 -ub 256', 'bench x --pg 512,128 --ubatch-size 256'],
    ['bench x -ctk q8_0 -ctv q8_0', 'bench x --cache-type-k q8_0 --cache-type-v q8_0'],
    ['bench x -ngl -1 -ncmoe 4 -fa 1', 'bench x --n-gpu-layers -1 --n-cpu-moe 4 --flash-attn 1'],
    ['bench x -oe md -o jsonl', 'bench x --output-err md -o jsonl'],
    ['bench x --n_gen 32 --cache_type_k=q8_0', 'bench x --n-gen 32 --cache-type-k=q8_0'],
    ['bench -m a_b.gguf,c.gguf -p 1', 'bench a_b.gguf c.gguf -p 1'],
    ['bench x --engine llama-bench:/a_b -- -ub', 'bench x --engine llama-bench:/a_b -- -ub'],
  ])('%s', (line, translated) => {
    expect(translateLlamaBenchFlags(words(line))).toEqual(words(translated));
  });

  it('leaves -m to a command that has it as an option', () => {
    const argv = words('compare a b -m x:Q4_K_M -ngl 20');
    expect(translateLlamaBenchFlags(argv, 'option')).toEqual(
      words('compare a b -m x:Q4_K_M --n-gpu-layers 20'),
    );
  });

  it('is refused by name where there is no counterpart, and where -m has no model', () => {
    expect(() => translateLlamaBenchFlags(['-dev', 'Vulkan0'])).toThrow('-dev has no counterpart');
    expect(() => translateLlamaBenchFlags(['-m'])).toThrow('-m needs the path or the name');
  });
});

describe('colour', () => {
  it.each([
    ['auto', true, {}, true],
    ['auto', false, {}, false],
    ['auto', undefined, {}, false],
    ['auto', true, { NO_COLOR: '1' }, false],
    ['auto', true, { NO_COLOR: '' }, true],
    ['auto', true, { TERM: 'dumb' }, false],
    ['always', false, { NO_COLOR: '1' }, true],
    ['never', true, {}, false],
  ] as const)('%s on a terminal (%s) with %o is %s', (choice, isTerminal, environment, colored) => {
    expect(wantsColor(choice, isTerminal, environment)).toBe(colored);
  });
});
