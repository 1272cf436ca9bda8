import { describe, expect, it } from 'vitest';
import { ScriptedEngine } from '../../test/fixtures/scripted-engine.ts';
import { seconds } from '../units/index.ts';
import { MIN_REPETITIONS, runProtocol } from './protocol.ts';

const PP = { promptTokens: 8, generatedTokens: 0, depthTokens: 0 };
const budgetSeconds = seconds(100);

describe('the protocol', () => {
  it('runs two models in turn, A B B A', async () => {
    const engine = new ScriptedEngine();
    const models = [engine.model('A', () => 1), engine.model('B', () => 2)];
    await runProtocol(models, PP, { count: 4, budgetSeconds }, engine.observer);
    expect(engine.order.slice(-8).join('')).toBe('ABBAABBA');
  });

  it('warms up until two runs in a row agree, and keeps those times apart', async () => {
    const engine = new ScriptedEngine();
    const model = engine.model('A', (repetition) => [4, 2, 1][repetition] ?? 1);
    const report = await runProtocol([model], PP, { count: 2, budgetSeconds }, engine.observer);
    expect(report.results[0]?.warmUpNanoseconds).toEqual([4e9, 2e9, 1e9, 1e9]);
    expect(report.results[0]?.samplesNanoseconds).toEqual([1e9, 1e9]);
    expect(report.warnings).toEqual([]);
  });

  it('says when a machine never gets steady', async () => {
    const engine = new ScriptedEngine();
    const model = engine.model('A', (repetition) => 1 + (repetition % 2));
    const report = await runProtocol([model], PP, { count: 1, budgetSeconds }, engine.observer);
    expect(report.warnings).toEqual(['still not steady after 5 warm-up runs']);
  });

  it('stops an adaptive point at the fewest repetitions when they agree', async () => {
    const engine = new ScriptedEngine();
    const report = await runProtocol(
      [engine.model('A', () => 1)],
      PP,
      { count: 'adaptive', budgetSeconds },
      engine.observer,
    );
    expect(report.results[0]?.samplesNanoseconds).toHaveLength(MIN_REPETITIONS);
  });

  it('stops a noisy adaptive point when its time is spent, and says so', async () => {
    const engine = new ScriptedEngine();
    const noisy = engine.model('A', (repetition) => 1 + (repetition % 2));
    const report = await runProtocol(
      [noisy],
      PP,
      { count: 'adaptive', budgetSeconds: seconds(20) },
      engine.observer,
    );
    const samples = report.results[0]?.samplesNanoseconds ?? [];
    expect(samples.length).toBeGreaterThan(MIN_REPETITIONS);
    expect(samples.length).toBeLessThan(21);
    expect(report.warnings.join()).toContain('wider than ±1 %');
  });
});
