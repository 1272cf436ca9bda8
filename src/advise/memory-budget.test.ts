import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readDeviceRecords } from '../catalog/host/index.ts';
import { parseMachineFile, type MachineFacts } from '../machine/index.ts';
import { bytes, GIB } from '../units/index.ts';
import { budgetOfDevice, budgetOfFacts, systemReserve, type MemoryBudget } from './memory-budget.ts';

const MACHINES = new URL('../../test/fixtures/machines/', import.meta.url);

/** What a real machine told, with some of its settings changed. */
function factsOf(name: string, changes: readonly (readonly [from: string, to: string])[]): MachineFacts {
  let text = readFileSync(new URL(name, MACHINES), 'utf8');
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${name} has no ${from}`);
    text = text.replaceAll(from, to);
  }
  const parsed = parseMachineFile(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.facts;
}

function sharedOf(budget: MemoryBudget | null): Extract<MemoryBudget, { kind: 'shared' }> {
  if (budget?.kind !== 'shared') throw new Error('its memory is not shared');
  return budget;
}

describe('the memory of a Mac that tells of itself', () => {
  const mac = (memoryBytes: number, limitMib: number): MemoryBudget | null =>
    budgetOfFacts(
      factsOf('m4-max-macos.json', [
        ['hw.memsize: 51539607552', `hw.memsize: ${memoryBytes}`],
        ['iogpu.wired_limit_mb: 40960', `iogpu.wired_limit_mb: ${limitMib}`],
      ]),
    );

  it('is divided as that of the same Mac of the catalogue where no limit is set', () => {
    const device = readDeviceRecords().find(({ id }) => id === 'apple-m4-max-40c');
    if (device === undefined) throw new Error('no M4 Max');
    for (const memory of [16, 36, 48, 128]) {
      const size = bytes(memory * GIB);
      const named = sharedOf(budgetOfDevice(device, size));
      const here = sharedOf(mac(size, 0));
      const limits = (budget: typeof named): number[] =>
        budget.splits.map(({ sharedLimitBytes }) => sharedLimitBytes);
      expect(limits(here)).toEqual(limits(named));
      expect(here.raisedBy).toBe('iogpu.wired_limit_mb');
    }
  });

  it('is divided as llama.cpp logged it of 16 and 32 GB, within half a per cent', () => {
    for (const [memory, logged] of [
      [16, 10_922.67],
      [32, 21_845.34],
    ] as const) {
      const [now] = sharedOf(mac(memory * GIB, 0)).splits;
      // Logged in units of 2^20.
      expect((now?.sharedLimitBytes ?? 0) / 2 ** 20 / logged).toBeCloseTo(1, 2);
    }
  });

  it('is limited by what was set', () => {
    expect(sharedOf(mac(48 * GIB, 40_960)).splits[0]?.sharedLimitBytes).toBe(40 * GIB);
  });
});

describe('the memory of an integrated GPU under Linux', () => {
  const GTT = '103079215104';
  const CARVE_OUT = '536870912';

  it('can be enlarged by the limit alone where there is no carve-out', () => {
    const facts = factsOf('strix-halo-linux.json', [
      [`"${CARVE_OUT}\\n"`, '"0\\n"'],
      [`"${GTT}\\n"`, `"${32 * GIB}\\n"`],
    ]);
    const { splits, totalBytes, raisedBy } = sharedOf(budgetOfFacts(facts));
    expect(raisedBy).toBe('ttm.pages_limit');
    expect(splits.map(({ name, sharedLimitBytes }) => [name, sharedLimitBytes])).toEqual([
      ['now', 32 * GIB],
      ['now, GTT raised', totalBytes - systemReserve(totalBytes)],
    ]);
  });

  it('is offered the limit with a carve-out that no list of settings has', () => {
    const facts = factsOf('strix-halo-linux.json', [
      [`"${CARVE_OUT}\\n"`, `"${4 * GIB}\\n"`],
      [`"${GTT}\\n"`, `"${32 * GIB}\\n"`],
    ]);
    const names = sharedOf(budgetOfFacts(facts)).splits.map(({ name }) => name);
    expect(names.slice(0, 3)).toEqual(['now', 'now, GTT raised', '512 MB']);
  });

  it('is offered every division once', () => {
    const { splits } = sharedOf(budgetOfFacts(factsOf('strix-halo-linux.json', [])));
    const raised = splits.filter(
      ({ name, carveOutBytes }) => name.endsWith('raised') && carveOutBytes === 512 * 2 ** 20,
    );
    expect(raised.map(({ name }) => name)).toEqual(['512 MB, GTT raised']);
  });
});

describe('the memory of a computer with a graphics card under Windows', () => {
  it('is that of the card, without the GPU of the processor, which does not tell that it is one', () => {
    const facts = factsOf('rtx4060-windows.json', []);
    const told = facts.gpus.known ? facts.gpus.value : [];
    expect(told.map(({ integrated }) => integrated.known)).toEqual([true, false]);
    const budget = budgetOfFacts(facts);
    expect(budget).toMatchObject({ kind: 'gpu', gpus: [8_585_740_288] });
  });
});
