import { describe, expect, it } from 'vitest';
import { turnCost } from '../advise/index.ts';
import { seconds, tokensPerSecond } from '../units/index.ts';
import { comparisonText, type ComparedMachine } from './comparison-text.ts';

const around = <Value>(of: (value: number) => Value, value: number) => ({
  value: of(value),
  low: of(value * 0.8),
  high: of(value * 1.25),
});

function machine(name: string, prompts: readonly number[], known: Partial<ComparedMachine> = {}) {
  const power = known.power ?? null;
  const priceUsd = known.priceUsd ?? null;
  return {
    name,
    backend: 'vulkan',
    memoryBytes: 2 ** 37,
    priceUsd,
    priceOf: 'machine' as const,
    power,
    ...known,
    turns: prompts.map((promptTokens) => {
      const turn = {
        promptTokensPerSecond: 688,
        outputTokensPerSecond: 50,
        promptSpeed: around(tokensPerSecond, 688 * (2048 / promptTokens)),
        outputSpeed: around(tokensPerSecond, 50 * (2048 / promptTokens)),
        firstToken: around(seconds, promptTokens / 688),
        whole: around(seconds, promptTokens / 688 + 10),
        basis: 'datasheet' as const,
      };
      return {
        promptTokens,
        turn,
        cost: turnCost(turn, power?.watts ?? null, priceUsd),
        neededBytes: 2 ** 36,
        fits: 'yes' as const,
      };
    }),
  } satisfies ComparedMachine;
}

const measured = { watts: 100, kind: 'measured', of: null, source: 'here' } as const;
const cards = { watts: 575, kind: 'cards', of: null, source: null } as const;
const widthOf = (rows: readonly (readonly string[])[]): number =>
  (rows[0] ?? [])
    .map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
    .reduce((sum, width) => sum + width + 2, -2);

describe('a comparison', () => {
  it('has a row to a quantity for one prompt', () => {
    const { tables } = comparisonText([machine('a', [2048], { power: measured, priceUsd: 2000 })], 100);
    const rows = new Map(tables[0]?.rows.map(([label = '', cell]) => [label, cell]));
    expect(rows.get('pp, tokens/s')).toBe('688 (550–860)');
    expect(rows.get('first token')).toBe('2.98 s (2.38–3.72)');
    // 100 W for 12.98 s; 50 tokens/s by 100 W, and by two thousand dollars.
    expect(rows.get('joules a turn')).toBe('1298');
    expect(rows.get('tg per W')).toBe('0.500');
    expect(rows.get('tg per 1000 USD')).toBe('25.0');
    expect(rows.get('power')).toBe('100 W measured');
  });

  it('has a heading to a quantity, and a row to a length, for several prompts', () => {
    const { tables } = comparisonText([machine('a', [2048, 4096])], 100);
    const labels = tables[0]?.rows.map(([label]) => label);
    expect(labels?.slice(0, 6)).toEqual([
      'pp, tokens/s',
      '  2048',
      '  4096',
      'tg, tokens/s',
      '  2048',
      '  4096',
    ]);
  });

  it.each([60, 80, 100])('keeps within %i characters, with all machines in some table', (width) => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const { legend, tables } = comparisonText(
      names.map((name) => machine(name, [2048, 32_768])),
      width,
    );
    for (const { head, rows } of tables) expect(widthOf([head, ...rows])).toBeLessThanOrEqual(width);
    expect(tables.flatMap(({ head }) => head.slice(1))).toEqual(['A', 'B', 'C', 'D', 'E', 'F', 'G']);
    expect(legend[2]).toBe('C  c, vulkan');
  });

  it('shows a machine even where a line has no room for one', () => {
    expect(comparisonText([machine('a', [2048])], 10).tables).toHaveLength(1);
  });

  it('leaves unknown what no power and no price say', () => {
    const { tables } = comparisonText([machine('a', [2048])], 100);
    const unknown = tables[0]?.rows.filter(([, cell]) => cell === 'unknown').map(([label]) => label);
    expect(unknown).toEqual(['joules a turn', 'tg per W', 'tg per 1000 USD', 'power', 'price']);
  });

  it('never sets a measured power beside a designed one without saying so', () => {
    const alike = comparisonText([machine('a', [2048], { power: measured })], 100).notes.join('\n');
    expect(alike).not.toMatch(/compare only roughly/);
    const mixed = comparisonText(
      [machine('a', [2048], { power: measured }), machine('b', [2048], { power: cards })],
      100,
    ).notes.join('\n');
    expect(mixed).toMatch(/power, measured: .*\npower, cards: .*\nthese are different things/);
  });

  it('has one row for what is the same at every length', () => {
    const { tables } = comparisonText([machine('a', [2048, 4096])], 100);
    expect(tables[0]?.rows.filter(([label]) => label === 'fits')).toEqual([['fits', 'yes']]);
  });

  it('tells the price of a card from that of a machine', () => {
    const card = machine('a', [2048], { priceUsd: 1999, priceOf: 'device' });
    const { tables, notes } = comparisonText([card], 100);
    expect(tables[0]?.rows.find(([label]) => label === 'price')).toEqual(['price', '1999 USD device']);
    expect(notes.join('\n')).toMatch(/price, device: .*alone/);
  });

  it('says what its basis means', () => {
    expect(comparisonText([machine('a', [2048])], 100).notes.at(-1)).toMatch(/^datasheet: predicted from/);
  });
});
