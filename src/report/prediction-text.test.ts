import { describe, expect, it } from 'vitest';
import type { Prediction } from '../predict/index.ts';
import { seconds, tokensPerSecond } from '../units/index.ts';
import { predictionText, type PredictedRow } from './prediction-text.ts';

const predicted = (speed: number, basis: Prediction['basis']): Prediction => ({
  tokensPerSecond: tokensPerSecond(speed),
  low: tokensPerSecond(speed * 0.8),
  high: tokensPerSecond(speed * 1.25),
  low90: tokensPerSecond(speed * 0.7),
  high90: tokensPerSecond(speed * 1.4),
  basis,
  roofTokensPerSecond: tokensPerSecond(speed * 2),
  seconds: seconds(1 / speed),
  terms: [],
});

function row(differing: Partial<PredictedRow> & { readonly basis?: Prediction['basis'] } = {}): PredictedRow {
  const { basis = 'datasheet', ...rest } = differing;
  return {
    model: 'Qwen3 30B A3B Q4_K_M',
    machine: 'Framework Desktop 128 GB (Ryzen AI Max+ 395), vulkan',
    depthTokens: 0,
    promptTokens: 512,
    generation: predicted(80, basis),
    prompt: predicted(688, basis),
    firstToken: { value: seconds(0.757), low: seconds(0.528), high: seconds(1.09) },
    ...rest,
  };
}

describe('a table of predictions', () => {
  it('has a column only for what differs, and the rest above it once', () => {
    const { heading, table } = predictionText([row(), row({ depthTokens: 4096 })]);
    expect(heading).toEqual(['Qwen3 30B A3B Q4_K_M on Framework Desktop 128 GB (Ryzen AI Max+ 395), vulkan']);
    expect(table.head).toEqual(['depth', 'pp512', 'tg', 'first token']);
    expect(table.rows[1]).toEqual(['4096', '688 (550–860)', '80.0 (64.0–100)', '757 ms (528–1090)']);
  });

  it('names machines by letters, each with its basis, so that a line has room', () => {
    const { heading, table } = predictionText([
      row(),
      row({ machine: 'GeForce RTX 5090, cuda', basis: 'measured-elsewhere' }),
    ]);
    expect(heading).toEqual([
      'Qwen3 30B A3B Q4_K_M',
      'A  Framework Desktop 128 GB (Ryzen AI Max+ 395), vulkan (datasheet)',
      'B  GeForce RTX 5090, cuda (measured-elsewhere)',
    ]);
    expect(table.head.slice(0, 2)).toEqual(['on', 'depth']);
    expect(table.rows.map(([letter]) => letter)).toEqual(['A', 'B']);
  });

  it('has a column for the prompt where there are several, and for the basis where one machine has two', () => {
    const { table } = predictionText([
      row(),
      row({ model: 'gpt-oss 20B MXFP4', promptTokens: 2048, basis: 'calibrated' }),
    ]);
    expect(table.head).toEqual(['model', 'depth', 'prompt', 'pp', 'tg', 'first token', 'basis']);
  });

  it('says what each basis means, and what is not known', () => {
    const { table, notes } = predictionText([
      row({ prompt: null, firstToken: null }),
      row({ basis: 'physics' }),
    ]);
    expect(table.rows[0]).toContain('no peak known');
    expect(notes.filter((note) => /^(datasheet|physics): predicted/.test(note))).toHaveLength(2);
  });
});
