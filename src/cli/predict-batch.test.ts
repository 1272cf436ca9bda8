import { describe, expect, it } from 'vitest';
import { readDeviceRecords, readModelRecords } from '../catalog/host/index.ts';
import { Predictor } from '../predict/index.ts';
import { readParameters } from '../predict/host/index.ts';
import { answerLine } from './predict-batch.ts';

const predictor = new Predictor(readParameters(), {
  devices: readDeviceRecords(),
  models: readModelRecords(),
});

describe('the answer to a line of a batch', () => {
  it.each(['[]', '{"device": 5}', '{"id": null}', 'null', '7', '{"id": 1', '"gpt-oss-120b"'])(
    'says which line it is where the line has no id: %s',
    (line) => {
      const answer = answerLine(line, 41, predictor);
      expect(answer).toMatchObject({ id: null, error: { code: 'invalid-query' } });
      expect('error' in answer && answer.error.message).toMatch(/^Line 41[ :]/);
    },
  );

  it('says what an id is', () => {
    expect(answerLine('{}', 1, predictor)).toMatchObject({
      error: { message: 'Line 1: The query is not valid: id: has to be a text or a number.' },
    });
  });

  it('names its query by the id where there is one', () => {
    const answer = answerLine('{"id": "a", "device": ""}', 41, predictor);
    expect(answer.id).toBe('a');
    expect('error' in answer && answer.error.message).not.toMatch(/Line/);
  });

  it('says so of a line that is longer than any query', () => {
    const answer = answerLine(`{"id": 1, "model": "${'x'.repeat(100_000)}"}`, 2, predictor);
    expect('error' in answer && answer.error.message).toMatch(/^Line 2 is not a JSON object of at most/);
  });
});
