import { describe, expect, test } from 'vitest';
import type { Roofline } from '../measure/index.ts';
import { bytesPerSecond, flopPerSecond } from '../units/index.ts';
import { rooflineChart } from './roofline-chart.ts';
import { rooflineSvg } from './roofline-svg.ts';

/** Two roofs, a cache and a memory, and a model below them. */
const LINE: Roofline = {
  roofs: [
    { label: 'F16', rate: flopPerSecond(2e13) },
    { label: 'Q8_0 <dot>', rate: flopPerSecond(4e13) },
  ],
  slopes: [
    { label: 'L3', rate: bytesPerSecond(1e12) },
    { label: 'memory', rate: bytesPerSecond(2e11) },
  ],
  ridges: [
    { roof: 'F16', flopPerByte: 100 },
    { roof: 'Q8_0 <dot>', flopPerByte: 200 },
  ],
  points: [
    { label: 'a model pp', kind: 'pp', flopPerByte: 900, rate: flopPerSecond(1e13) },
    { label: 'a model tg', kind: 'tg', flopPerByte: 2, rate: flopPerSecond(3e11) },
  ],
};

describe('the roofline in characters', () => {
  test('rises to the roofs, and has a letter for each test', () => {
    expect(rooflineChart(LINE).map((text) => text.trimEnd())).toMatchInlineSnapshot(`
      [
        "              |",
        "              |                                              /-----------------",
        "              |                                          ////",
        "              |                                       //-----------------------",
        " 10.0 TFLOP/s |                                   ////                   a",
        "              |                               ////",
        "              |                           ////",
        "              |                        ///",
        "              |                    ////",
        " 1.00 TFLOP/s |                ////",
        "              |            ////",
        "              |        ///b",
        "              |     ///",
        "              | ////",
        "  100 GFLOP/s |/",
        "              |",
        "              +----------------------------------------------------------------",
        "                    1                 10                100              1000  FLOP/byte",
        "slope: 200 GB/s from memory; roofs: 40.0 TFLOP/s (Q8_0 <dot>) and 20.0 TFLOP/s (F16)",
        "a: a model pp, 900 FLOP/byte, 10.0 TFLOP/s",
        "b: a model tg, 2.00 FLOP/byte, 300 GFLOP/s",
      ]
    `);
  });

  test('says of a model that it was measured on a faster machine than the roof', () => {
    const rate = flopPerSecond(5e11);
    const points = [{ label: 'a model tg', kind: 'tg', flopPerByte: 2, rate } as const];
    expect(rooflineChart({ ...LINE, points }).at(-1)).toBe(
      'a: a model tg, 2.00 FLOP/byte, 500 GFLOP/s (above the roof: the machine was faster when this was measured)',
    );
  });

  test('is empty without a roof or without a memory', () => {
    expect(rooflineChart({ ...LINE, roofs: [] })).toEqual([]);
    expect(rooflineChart({ ...LINE, slopes: [] })).toEqual([]);
  });
});

describe('the roofline as a picture', () => {
  const svg = rooflineSvg(LINE, 'A & B') ?? '';

  test('names every roof, slope and test once, and escapes what XML would read', () => {
    for (const name of [
      'F16 20.0 TFLOP/s',
      'Q8_0 &lt;dot&gt; 40.0 TFLOP/s',
      'L3 1.00 TB/s',
      'memory 200 GB/s',
      'a model tg',
      'A &amp; B',
    ]) {
      expect(svg.split(name)).toHaveLength(2);
    }
  });

  test('keeps everything within its frame', () => {
    const numbers = [...svg.matchAll(/ (?:x|x1|x2|cx)="(-?[\d.]+)"/g)].map(([, value]) => Number(value));
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThanOrEqual(900);
    expect(rooflineSvg({ ...LINE, roofs: [] }, '')).toBeNull();
  });
});
