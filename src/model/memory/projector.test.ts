import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../catalog/host/index.ts';
import { MIB } from '../../units/index.ts';
import { shapeOf, type ModelShape } from '../shape.ts';
import { projectorMemory, projectorParameters } from './projector.ts';

const RECORDS = readModelRecords();
/** CUDA's and ROCm's buffers (ggml-cuda.cu); a count of tensors' own bytes has none. */
const CUDA_ALIGNMENT = 128;
const NONE = 1;

function shapeNamed(id: string): ModelShape {
  const record = RECORDS.find((each) => each.id === id);
  if (record === undefined) throw new Error(`no record ${id}`);
  return shapeOf(record);
}

describe('the projector of a model that sees', () => {
  const published = RECORDS.flatMap((record) => {
    const { parameters, layers } = record.vision ?? {};
    const isCounted = ['gemma3', 'qwen2vl', 'qwen35', 'qwen35moe', 'qwen3vl', 'qwen3vlmoe'].includes(
      record.architecture,
    );
    return parameters === undefined || layers === undefined || !isCounted
      ? []
      : [{ id: record.id, parameters }];
  });

  it('has a published count of weights for enough models to judge the tables by', () => {
    expect(published.length).toBeGreaterThanOrEqual(15);
  });

  it.each(published)('of $id has the published number of weights', ({ id, parameters }) => {
    expect(projectorParameters(shapeNamed(id))).toBe(parameters);
  });

  it('takes what ROCm was asked for to load that of Qwen 2.5 VL 7B', () => {
    // `alloc_tensor_range: failed to allocate ROCm0 buffer of size 1354132480`, llama.cpp build 7972.
    const memory = projectorMemory(shapeNamed('qwen2.5-vl-7b'), 'F16', CUDA_ALIGNMENT);
    expect(memory).toEqual({ weightBytes: 1_354_132_480, basis: 'tensors' });
  });

  it('has the size that llama-server logged of mmproj-BF16.gguf of Qwen 3.6 27B', () => {
    // `load_hparams: model size: 887.99 MiB`, unsloth/Qwen3.6-27B-MTP-GGUF.
    const { weightBytes } = projectorMemory(shapeNamed('qwen3.6-27b'), 'BF16', NONE) ?? { weightBytes: 0 };
    expect(weightBytes / MIB).toBeCloseTo(887.99, 2);
  });

  it('has the size that llama-server logged of that of Ministral 3 3B, whose patches alone were F32', () => {
    // `load_hparams: model size: 802.50 MiB`, 223 tensors, of a converter that did not widen what joins the patches.
    const { weightBytes } = projectorMemory(shapeNamed('ministral-3-3b'), 'F16', NONE) ?? { weightBytes: 0 };
    const widerPatches = 2 * 1024 * 3 * 14 ** 2;
    expect((weightBytes + widerPatches) / MIB).toBeCloseTo(802.5, 2);
  });

  it('is an estimate from the published count where its tensors are not known, and unknown without one', () => {
    expect(projectorMemory(shapeNamed('gemma-4-e2b'), 'F16', NONE)).toEqual({
      weightBytes: 2 * 475_727_904,
      basis: 'parameters',
    });
    expect(projectorMemory(shapeNamed('kimi-k2.5'), 'F16', NONE)).toBeNull();
    expect(projectorMemory(shapeNamed('qwen3-8b'), 'F16', NONE)).toBeNull();
  });
});
