import { describe, expect, it } from 'vitest';
import { exampleRecord } from '../../test/fixtures/measurement-record.ts';
import { timeToFirstToken } from './first-token.ts';

/** A piece of 512 tokens takes 1 s on an empty cache and 1 ms more for every 512 tokens before it. */
const at = (depthTokens: number): ReturnType<typeof exampleRecord> =>
  exampleRecord({
    test: { promptTokens: 512, generatedTokens: 0, depthTokens },
    exampleRuns: [
      { layers: null, samplesNanoseconds: Array.from({ length: 5 }, () => 1e9 + (depthTokens / 512) * 1e6) },
    ],
  });

describe('the time to first token', () => {
  it('is the sum over the pieces of a prompt', () => {
    // 8 pieces: 8 s and (0 + 1 + ... + 7) ms.
    expect(timeToFirstToken(at(0), at(2048), 4096)?.value).toBeCloseTo(8.028, 9);
  });

  it('is unknown when the tests do not belong together', () => {
    expect(timeToFirstToken(at(0), at(0), 4096)).toBeNull();
    expect(timeToFirstToken(at(512), at(2048), 4096)).toBeNull();
  });
});
