import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tinyShape, TINY_ARCHITECTURES } from '../../../test/fixtures/tiny-shapes.ts';
import { GgufError, parseGgufHeader, planSyntheticFile, summariseHeader, tensorsOf } from '../index.ts';

const PLAN = planSyntheticFile({ shape: tinyShape('llama', { vocabularySize: 300 }), mix: 'Q4_0' });

function parse(bytes: Uint8Array, fileBytes = PLAN.fileBytes): ReturnType<typeof parseGgufHeader> {
  return parseGgufHeader(bytes, fileBytes, 'test.gguf');
}

/** The code of the error that parsing throws. */
function codeOf(bytes: Uint8Array, fileBytes?: number): string {
  try {
    parse(bytes, fileBytes);
  } catch (error) {
    if (error instanceof GgufError) return error.code;
    throw error;
  }
  return 'none';
}

function changed(at: number, ...values: number[]): Uint8Array {
  const copy = PLAN.header.slice();
  copy.set(values, at);
  return copy;
}

/** Where a text lies in the header. */
function find(text: string): number {
  const at = Buffer.from(PLAN.header).indexOf(text);
  if (at < 0) throw new Error(`${text} is not in the header`);
  return at;
}

describe('reading a GGUF header', () => {
  it.each(TINY_ARCHITECTURES)('finds in a synthetic %s file what was written', (architecture) => {
    const shape = tinyShape(architecture);
    const plan = planSyntheticFile({ shape, mix: 'Q4_K_M' });
    const progress = parseGgufHeader(plan.header, plan.fileBytes, 'test.gguf');
    if (!progress.complete) throw new Error('the header is whole');
    const { header } = progress;
    expect(header.dataOffset).toBe(plan.header.length);
    const written = tensorsOf(shape, 'Q4_K_M');
    expect(header.tensors.map(({ name, type, dims, bytes }) => ({ name, type, dims, bytes }))).toEqual(
      written.map(({ name, type, dims, bytes }) => ({ name, type, dims, bytes })),
    );
    expect(summariseHeader(header)).toMatchObject({
      architecture,
      layers: 2,
      mix: 'Q4_K_M',
      fileBytes: plan.fileBytes,
      splitCount: 1,
      expertCount: shape.experts?.count ?? null,
    });
  });

  it('asks for more bytes when the prefix ends inside the header', () => {
    const progress = parse(PLAN.header.subarray(0, 1000));
    expect(progress).toMatchObject({ complete: false });
    expect(progress.complete ? 0 : progress.neededBytes).toBeGreaterThan(1000);
  });

  it('counts long arrays without keeping them', () => {
    const plan = planSyntheticFile({ shape: tinyShape('llama', { vocabularySize: 2000 }), mix: 'Q4_0' });
    const progress = parseGgufHeader(plan.header, plan.fileBytes, 'test.gguf');
    if (!progress.complete) throw new Error('the header is whole');
    expect(progress.header.metadata.get('tokenizer.ggml.tokens')).toEqual({ length: 2000, items: null });
  });

  it('tells what is wrong with a file that it refuses', () => {
    expect(codeOf(changed(0, 0x50, 0x4b))).toBe('not-gguf');
    expect(codeOf(new Uint8Array(0), 0)).toBe('not-gguf');
    expect(codeOf(changed(4, 0, 0, 0, 3))).toBe('unsupported-version');
    expect(codeOf(changed(4, 1))).toBe('unsupported-version');
    expect(codeOf(PLAN.header, PLAN.fileBytes - 32)).toBe('truncated');
    expect(codeOf(PLAN.header.subarray(0, 100), 100)).toBe('truncated');
    expect(codeOf(changed(8, 255, 255, 255, 255))).toBe('limit-exceeded');
    expect(codeOf(changed(16, 255, 255, 255, 255))).toBe('limit-exceeded');
  });

  it('refuses unknown tensor types, rows that do not fit, and gaps between tensors', () => {
    const name = 'blk.0.attn_q.weight';
    const dims = find(name) + name.length + 4;
    const type = dims + 2 * 8;
    expect(codeOf(changed(type, 99))).toBe('unsupported-type');
    expect(codeOf(changed(dims, 1, 1))).toBe('malformed');
    expect(codeOf(changed(dims, 0, 0))).toBe('malformed');
    expect(codeOf(changed(dims - 4, 9))).toBe('malformed');
    expect(codeOf(changed(type + 4, 1))).toBe('malformed');
  });

  it('refuses a name that occurs twice', () => {
    expect(codeOf(changed(find('blk.1.attn_q.weight') + 4, 48))).toBe('malformed');
    expect(codeOf(changed(find('general.type'), ...Buffer.from('general.name')))).toBe('malformed');
  });

  it('shows names from the file without control characters', () => {
    const bytes = changed(find('blk.0.attn_q.weight'), 0x1b);
    const name = 'lk.0.attn_q.weight';
    bytes[find(name) + name.length + 4 + 2 * 8] = 99;
    expect(() => parse(bytes)).toThrow(/"\\u001blk\.0/);
  });

  it('takes random bytes for no model', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
        const bytes = Uint8Array.from([...PLAN.header.subarray(0, 8), ...noise]);
        // codeOf throws on anything else than a GgufError.
        expect(codeOf(bytes, bytes.length)).toBeTypeOf('string');
      }),
      { numRuns: 5000 },
    );
  });
});
