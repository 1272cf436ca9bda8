import { describe, expect, it } from 'vitest';
import type { Prediction } from '../predict/index.ts';
import { seconds, tokensPerSecond } from '../units/index.ts';
import { waterfallOf, waterfallText, type Waterfall } from './waterfall.ts';
import { waterfallSvg } from './waterfall-svg.ts';

const SUBJECT = {
  model: 'A Model Q4_0',
  machine: 'A <Machine> & more',
  backend: 'vulkan-radv',
  test: 'tg128 @ d4096',
};
const ROOFS = { bandwidthBytesPerSecond: 256e9, matmulFlopPerSecond: 59.4e12, matmulType: 'FP16' };

/** 20 ms for a token, of which 12 are the weights at the full bandwidth. */
function prediction(terms: readonly (readonly [string, number, number | null])[]): Prediction {
  const whole = terms.reduce((sum, [, time]) => sum + time, 0);
  return {
    tokensPerSecond: tokensPerSecond(1 / whole),
    low: tokensPerSecond(0.8 / whole),
    high: tokensPerSecond(1.25 / whole),
    low90: tokensPerSecond(0.7 / whole),
    high90: tokensPerSecond(1.4 / whole),
    basis: 'datasheet',
    roofTokensPerSecond: tokensPerSecond(1 / 0.012),
    seconds: seconds(whole),
    terms: terms.map(([name, time, roof]) => ({
      name,
      on: 'device',
      seconds: seconds(time),
      roofSeconds: roof === null ? null : seconds(roof),
    })),
  };
}
const TOKEN = prediction([
  ['dense', 0.015, 0.012],
  ['launch', 0.004, null],
  ['arithmetic', 0.00095, null],
  ['fixed', 0.00005, null],
]);
const ofToken = (): Waterfall => waterfallOf(SUBJECT, 'generation', TOKEN, ROOFS);

describe('a waterfall', () => {
  it('tells what each step leaves of the bandwidth, down to what is reached', () => {
    const { steps, reached } = ofToken();
    // 12 of 16 ms, of 19, of 19.95 and of 20.
    expect(
      steps.map(({ title, ratePerSecond }) => [title, Math.round((ratePerSecond ?? 0) / 1e8) / 10]),
    ).toEqual([
      ['weights of every token, at the limit', 256],
      ['launching kernels', 192],
      ['weights of every token, at 80 % of the limit', 161.7],
      ['unpacking and multiplying weights', 154],
      ['all else', 153.6],
    ]);
    expect(reached).toBe('154 GB/s');
  });

  it('adds up to the whole', () => {
    const { steps, prediction: whole } = ofToken();
    expect(steps.reduce((sum, step) => sum + step.seconds, 0)).toBeCloseTo(whole.seconds, 12);
  });

  it('states no rate under two roofs, or under none', () => {
    const beside = { bandwidthBytesPerSecond: 80e9, linkBytesPerSecond: 32e9 };
    const split = waterfallOf(SUBJECT, 'generation', TOKEN, ROOFS, beside);
    expect([split.reached, ...split.steps.map(({ ratePerSecond }) => ratePerSecond)]).toEqual(
      Array.from({ length: 6 }, () => null),
    );
    const unknown = { ...ROOFS, matmulFlopPerSecond: null, matmulType: null };
    expect(waterfallOf(SUBJECT, 'prompt', TOKEN, unknown).reached).toBeNull();
    expect(waterfallText(split)).toMatch(/60 % of the time of a token is the limit itself/);
  });

  it('as text keeps within a hundred characters but for its title, and says what its basis means', () => {
    const [, ...lines] = waterfallText(ofToken()).split('\n');
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
    expect(lines[1]).toBe('That makes 154 GB/s of it, 60 %. What is left after each step:');
    expect(lines.at(-1)).toMatch(/datasheet: predicted from bandwidth and peaks/);
  });
});

describe('the picture of waterfalls', () => {
  it('names model, machine, backend and test, and the total, and escapes them', () => {
    const svg = waterfallSvg([ofToken()]);
    expect(svg).toContain('Where the time of a token goes: 20.0 ms, 50.0 tokens/s');
    expect(svg).toContain('A Model Q4_0 · A &lt;Machine&gt; &amp; more · vulkan-radv · tg128 @ d4096');
    expect(svg).not.toContain('<Machine>');
  });

  it('has other colours where it is dark', () => {
    expect(waterfallSvg([ofToken()])).toMatch(/@media \(prefers-color-scheme:dark\)\{text\{fill:#e8e8e8\}/);
  });

  it('draws bars that begin where the one before ends, within the picture', () => {
    const svg = waterfallSvg([ofToken(), ofToken()]);
    const width = Number(/width="(\d+)"/.exec(svg)?.[1]);
    const bars = [...svg.matchAll(/<rect class="(?:limit|loss)" x="([\d.]+)" y="\d+" width="([\d.]+)"/g)].map(
      ([, x, wide]) => ({ from: Number(x), to: Number(x) + Number(wide) }),
    );
    expect(bars).toHaveLength(10);
    const first = bars.slice(0, 5);
    for (const { to } of first) expect(to).toBeLessThan(width);
    const gaps = first.slice(1).map(({ from }, index) => Math.abs(from - (first[index]?.to ?? 0)));
    // Positions are rounded to a tenth of a pixel.
    expect(Math.max(...gaps)).toBeLessThan(0.2);
  });
});
