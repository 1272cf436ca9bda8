import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readDeviceRecords } from '../catalog/host/index.ts';
import { matchCatalogue, type CatalogueMatch } from './catalogue-match.ts';
import { parseMachineFile } from './machine-file.ts';
import type { MachineFacts } from './facts.ts';

const devices = readDeviceRecords();

/** A machine that was captured for real. */
function captured(name: string): MachineFacts {
  const file = new URL(`../../test/fixtures/machines/${name}.json`, import.meta.url);
  const parsed = parseMachineFile(readFileSync(file, 'utf8'));
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.facts;
}

function brief(matches: readonly CatalogueMatch[]): (string | null)[] {
  return matches.map(({ part, device }) => `${part} ${device?.id ?? 'unknown'}`);
}

describe('matching a machine to the catalogue', () => {
  it.each([
    ['strix-halo-linux', ['gpu amd-ryzen-ai-max-395', 'cpu amd-ryzen-ai-max-395-cpu']],
    ['m4-max-macos', ['gpu apple-m4-max-40c', 'cpu unknown']],
    ['dgx-spark-linux', ['gpu nvidia-dgx-spark-gb10', 'cpu unknown']],
    ['rtx4060-windows', ['gpu nvidia-rtx-4060', 'gpu unknown', 'cpu amd-ryzen-7600']],
    ['epyc-vm-linux', ['cpu unknown']],
  ])('finds the parts of %s, and leaves open what a name does not say', (name, expected) => {
    expect(brief(matchCatalogue(captured(name), devices))).toEqual(expected);
  });

  it('shows what speaks for the match, and where it was read', () => {
    const [gpu] = matchCatalogue(captured('rtx4060-windows'), devices);
    expect(gpu?.evidence.map(({ text, agrees }) => [text, agrees])).toEqual([
      ["'NVIDIA GeForce RTX 4060' is a name of nvidia-rtx-4060", true],
      ['compute capability 8.9; the entry has sm_89', true],
      ['8.00 GiB of memory; the entry has 8.00 GiB', true],
    ]);
    for (const { source } of gpu?.evidence ?? []) expect(source).not.toBe('');
  });

  it('tells the sizes of an Apple chip apart by its GPU cores', () => {
    const [gpu] = matchCatalogue(captured('m4-max-macos'), devices);
    expect(gpu?.evidence).toContainEqual(
      expect.objectContaining({ text: '40 units; the entry has 40 GPU cores', agrees: true }),
    );
  });

  it('can be overridden by name, and refuses a name that the catalogue lacks', () => {
    const facts = captured('strix-halo-linux');
    const [gpu, cpu] = matchCatalogue(facts, devices, 'Ryzen AI Max 390');
    expect(gpu).toMatchObject({ device: { id: 'amd-ryzen-ai-max-390' }, chosenBy: 'override' });
    expect(cpu?.device?.id).toBe('amd-ryzen-ai-max-395-cpu');
    expect(() => matchCatalogue(facts, devices, 'nvidia-rtx-4095')).toThrow(/nearest ids/);
  });
});
