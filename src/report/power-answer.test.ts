import { describe, expect, it } from 'vitest';
import { readPublishedPowerLevels } from '../catalog/host/index.ts';
import { watts } from '../units/index.ts';
import { answerPower, powerAnswerLines } from './power-answer.ts';

const PUBLISHED = readPublishedPowerLevels();
const target = { power: watts(140), unitGain: 1 };
const readings = (...pairs: readonly (readonly [number, number])[]) =>
  pairs.map(([power, performance]) => ({ power: watts(power), performance }));

describe('a speed that falls while the power grows', () => {
  it.each([
    ['of two powers', readings([65, 23], [120, 20])],
    ['of three, to which a law can be fitted', readings([55, 20], [85, 23], [120, 21])],
    ['between the means at each power', readings([65, 22], [65, 24], [120, 22.5], [120, 20])],
  ])('is warned of: %s', (_, given) => {
    const answer = answerPower(given, target, PUBLISHED);
    expect(answer.falls).toHaveLength(1);
    const warnings = powerAnswerLines(answer).filter((line) => line.startsWith('warning:'));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/at 120 W is less than .* at (65|85) W; .*measure again/);
  });

  it('is not, where it grows, or where readings at one power differ', () => {
    const answer = answerPower(readings([65, 24], [65, 22], [120, 25]), target, PUBLISHED);
    expect(answer.falls).toEqual([]);
    expect(powerAnswerLines(answer).join('\n')).not.toMatch(/warning/);
  });
});
