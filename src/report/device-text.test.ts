import { describe, expect, it } from 'vitest';
import { explainDevice, resolveDevice } from '../catalog/index.ts';
import {
  readDeviceRecords,
  readPublishedPowerLevels,
  readPublishedReadings,
  readSources,
} from '../catalog/host/index.ts';
import { watts } from '../units/index.ts';
import { explainDeviceText } from './device-text.ts';
import { answerPower, powerAnswerLines } from './power-answer.ts';

const devices = readDeviceRecords();
const readings = readPublishedReadings();
const sources = readSources();

function explained(id: string): string {
  const explanation = explainDevice(resolveDevice(id, devices).device, readings, sources);
  return explainDeviceText(explanation)
    .flatMap(({ title, lines }) => [title, ...lines])
    .join('\n');
}

describe('the explanation of a device', () => {
  it('writes out every product of a peak with its condition, and the rate without it', () => {
    expect(explained('amd-ryzen-ai-max-395')).toContain(
      'FP16 on the matrix units, accumulated in FP32: 512 operations/clock/CU x 40 x 2.9 GHz = 59.4 TFLOP/s; needs WMMA or dual issue (wave32), else 29.7 TFLOP/s',
    );
  });

  it('writes out the bandwidth, and what others measured of it', () => {
    const text = explained('amd-ryzen-ai-max-395');
    expect(text).toContain('256 bit / 8 x 8000 MT/s (LPDDR5X) = 256 GB/s');
    expect(text).toContain('read bandwidth: 202 GB/s to 221 GB/s (58 readings');
  });

  it('keeps both figures where sources disagree', () => {
    expect(explained('nvidia-dgx-spark-gb10')).toContain(
      'stated: 301 GB/s (field-notes); the derived figure is 9.3 % below it: announced with 9400 MT/s',
    );
  });

  it('tells formats without hardware from formats without a published rate', () => {
    const text = explained('nvidia-rtx-4090');
    expect(text).toContain('TF32: in hardware, the rate is not known');
    expect(text).toContain('FP6, FP4: not in hardware');
  });

  it('says what nobody has published', () => {
    const text = explained('apple-m6-12c');
    expect(text).toContain('12 GPU cores, clock not published');
    expect(text).toContain('170 GB/s, as sunkcost states; bus width or data rate are not published');
  });

  it('names every source with its address and what was taken from it', () => {
    expect(explained('nvidia-rtx-4090')).toMatch(
      /memory, clock, tdp, released, price: huggingface-estimate.*<https:\/\/github.com\/gdevenyi/,
    );
  });

  it('can be made for every device, without an undefined in it', () => {
    for (const { id } of devices) expect(explained(id)).not.toMatch(/undefined|NaN|null/);
  });
});

describe('the answer to another power', () => {
  const published = readPublishedPowerLevels();

  it('is a table over assumed exponents when fewer than three powers were measured', () => {
    const answer = answerPower(
      [{ power: watts(65), performance: 23 }],
      { power: watts(120), unitGain: 1.2 },
      published,
    );
    const text = powerAnswerLines(answer).join('\n');
    expect(text).toContain('the law needs 3 or more power levels, and there is 1');
    expect(text).toContain('k = 0.5: 37.5');
    expect(text).toContain('k = 0.9: 47.9');
    expect(text).toMatch(/where the truth is known \(8 published series.*\+2\.5 % to \+6\.7 % off/);
  });

  it('is the fitted law with its interval when three were', () => {
    const series = published[0]?.levels.map(({ watts: power, value }) => ({
      power: watts(power),
      performance: value,
    }));
    const answer = answerPower(series ?? [], { power: watts(140), unitGain: 1 }, published);
    const text = powerAnswerLines(answer).join('\n');
    expect(text).toMatch(/k = 0\.27 \(95 %: -0\.24 to 0\.79\), from 3 readings/);
    expect(text).toContain('outside the powers that were measured');
  });
});
