import { describe, expect, it } from 'vitest';
import { tinyShape } from '../../test/fixtures/tiny-shapes.ts';
import { readModelRecords } from '../catalog/host/index.ts';
import {
  activeWeightBytesPerToken,
  isSlidingWindowLayer,
  kvBytesPerToken,
  shapeOf,
  tensorsOf,
  weightBytes,
  type MixName,
  type ModelShape,
} from './index.ts';

const RECORDS = readModelRecords();

function shapeNamed(id: string): ModelShape {
  const record = RECORDS.find((each) => each.id === id);
  if (record === undefined) throw new Error(`no record ${id}`);
  return shapeOf(record);
}

describe('weights of published files', () => {
  /** Sums of tensor bytes: `model_size` of llama-bench records, or dumps of GGUF headers. */
  const TENSOR_BYTES: readonly (readonly [id: string, mix: MixName, bytes: number])[] = [
    ['llama-2-7b', 'Q4_0', 3_825_065_984],
    ['llama-2-7b', 'Q4_K_M', 4_080_263_168],
    ['llama-3.1-8b', 'Q4_K_M', 4_912_898_304],
    ['llama-3.2-1b', 'Q4_K_M', 799_862_912],
    ['llama-3.2-1b', 'BF16', 2_471_764_096],
    ['llama-3.3-70b', 'Q4_K_M', 42_512_531_712],
    ['qwen2.5-0.5b', 'F16', 988_208_640],
    ['qwen3-0.6b', 'BF16', 1_192_230_912],
    ['qwen3-32b', 'Q8_0', 34_811_744_256],
    ['qwen3-30b-a3b', 'BF16', 61_089_832_960],
    ['gpt-oss-20b', 'F16', 13_779_630_336],
    ['gpt-oss-120b', 'F16', 65_355_994_368],
    ['gpt-oss-120b', 'MXFP4', 63_374_323_968],
    ['qwen3.6-35b-a3b', 'Q4_0', 19_704_064_512],
    ['qwen3.6-35b-a3b', 'Q4_K_M', 21_155_768_832],
    ['qwen3.6-35b-a3b', 'Q5_K_M', 24_718_141_952],
    ['qwen3.6-35b-a3b', 'Q6_K', 28_503_163_392],
    ['qwen3.6-35b-a3b', 'Q8_0', 36_892_150_272],
    ['qwen3.6-35b-a3b', 'BF16', 69_365_647_872],
    ['qwen3.5-0.8b', 'BF16', 1_505_783_040],
    ['deepseek-r1', 'BF16', 1_342_267_742_208],
    ['granite-4.0-h-tiny', 'BF16', 13_887_617_280],
    ['nemotron-3-nano-4b', 'BF16', 7_949_760_896],
    ['nemotron-3-nano-30b-a3b', 'BF16', 63_173_608_704],
    ['falcon-h1-0.5b', 'BF16', 1_043_622_016],
    ['lfm2-350m', 'F16', 709_098_496],
    ['lfm2-8b-a1b', 'BF16', 16_683_169_536],
  ];

  it.each(TENSOR_BYTES)('%s %s has the published bytes of weights', (id, mix, bytes) => {
    expect(weightBytes(shapeNamed(id), mix)).toBe(bytes);
  });

  /** Sizes of whole files, two of one repository. */
  const FILE_BYTES: readonly (readonly [id: string, files: readonly (readonly [MixName, number])[]])[] = [
    [
      'gpt-oss-20b',
      [
        ['Q8_0', 12_109_567_168],
        ['Q4_K_M', 11_624_759_488],
      ],
    ],
    [
      'llama-3.1-8b',
      [
        ['Q4_K_M', 4_920_739_232],
        ['Q8_0', 8_540_775_840],
      ],
    ],
    [
      'llama-3.2-3b',
      [
        ['Q4_K_M', 2_019_377_696],
        ['Q8_0', 3_421_899_296],
      ],
    ],
    [
      'mistral-7b-v0.3',
      [
        ['Q4_K_M', 4_372_812_000],
        ['Q8_0', 7_702_565_088],
      ],
    ],
    [
      'qwen2.5-7b',
      [
        ['Q4_K_M', 4_683_074_240],
        ['Q8_0', 8_098_525_888],
      ],
    ],
  ];

  it.each(FILE_BYTES)('%s files are larger by one and the same header in every mix', (id, files) => {
    const headers = files.map(([mix, bytes]) => bytes - weightBytes(shapeNamed(id), mix));
    const [smallest, largest] = [Math.min(...headers), Math.max(...headers)];
    // The tokenizer of 32 thousand tokens takes 0.7 MB, that of 201 thousand 13 MB.
    expect(smallest).toBeGreaterThan(0.7e6);
    expect(largest).toBeLessThan(13.1e6);
    // A calibration note or the padding to 32 bytes is all that may differ.
    expect(largest - smallest).toBeLessThan(512);
  });
});

describe('the tensors of a mix', () => {
  const typesOf = (shape: ModelShape, mix: MixName, layers?: number[]): Map<string, string> =>
    new Map(tensorsOf(shape, mix, layers).map((tensor) => [tensor.name, tensor.type]));

  it('give the sensitive tensors of every third and the outer layers more bits in Q4_K_M', () => {
    const types = typesOf(shapeNamed('llama-3.1-8b'), 'Q4_K_M');
    const sixBits = Array.from({ length: 32 }, (_, layer) => layer).filter(
      (layer) => types.get(`blk.${layer}.ffn_down.weight`) === 'Q6_K',
    );
    expect(sixBits).toEqual([0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]);
    expect(types.get('output.weight')).toBe('Q6_K');
    expect(types.get('token_embd.weight')).toBe('Q4_K');
    expect(types.get('blk.0.attn_norm.weight')).toBe('F32');
  });

  it('give a tied embedding the type of the head', () => {
    expect(typesOf(shapeNamed('llama-3.2-1b'), 'Q4_K_M').get('token_embd.weight')).toBe('Q6_K');
  });

  it('raise the values of a 70B model, llama and qwen2 alike', () => {
    expect(typesOf(shapeNamed('llama-3.3-70b'), 'Q4_K_M').get('blk.10.attn_v.weight')).toBe('Q5_K');
    expect(typesOf(shapeNamed('qwen2.5-72b'), 'Q4_K_M').get('blk.10.attn_v.weight')).toBe('Q5_K');
    expect(typesOf(shapeNamed('qwen2.5-32b'), 'Q4_K_M').get('blk.8.attn_v.weight')).toBe('Q4_K');
  });

  it('keep more of the attention of a model of exactly eight experts, as llama.cpp does for Mixtral', () => {
    const eight = tinyShape('qwen3moe', { experts: { count: 8, used: 2, feedForwardLength: 256 } });
    const types = typesOf(eight, 'Q4_K_M');
    const attention = ['q', 'k', 'v', 'output'].map((part) => types.get(`blk.1.attn_${part}.weight`));
    expect(attention).toEqual(['Q4_K', 'Q8_0', 'Q8_0', 'Q5_K']);
    expect(typesOf(tinyShape('qwen3moe'), 'Q4_K_M').get('blk.1.attn_k.weight')).toBe('Q4_K');
  });

  it('fall back to smaller blocks where a row is no multiple of 256', () => {
    const types = typesOf(shapeNamed('qwen2.5-0.5b'), 'Q4_K_M');
    expect(types.get('blk.10.attn_q.weight')).toBe('Q5_0');
    expect(types.get('blk.0.attn_v.weight')).toBe('Q8_0');
    expect(types.get('token_embd.weight')).toBe('Q8_0');
  });

  it('keep the experts of gpt-oss in MXFP4 in every mix', () => {
    for (const mix of ['MXFP4', 'Q4_K_M', 'F16'] as const) {
      const types = typesOf(shapeNamed('gpt-oss-20b'), mix);
      expect(types.get('blk.3.ffn_up_exps.weight')).toBe('MXFP4');
      expect(types.get('blk.3.ffn_up_exps.bias')).toBe('F32');
      expect(types.get('blk.3.ffn_gate_inp.weight')).toBe('F32');
    }
  });

  it('keep for a sampled layer the type that it has in the full model', () => {
    const shape = shapeNamed('llama-3.1-8b');
    const types = typesOf(shape, 'Q4_K_M', [4, 6]);
    expect(types.get('blk.0.ffn_down.weight')).toBe('Q4_K');
    expect(types.get('blk.1.ffn_down.weight')).toBe('Q6_K');
    expect(types.has('blk.2.ffn_down.weight')).toBe(false);
  });

  it('refuse a layer that the model does not have', () => {
    expect(() => tensorsOf(tinyShape('llama'), 'Q4_0', [2])).toThrow(/layers 0 to 1; 2 is not one/);
    expect(() => tensorsOf(tinyShape('llama'), 'Q4_0', [0.5])).toThrow(RangeError);
  });

  it('are not known for an architecture without a table', () => {
    const shape = { ...tinyShape('llama'), architecture: 'mamba2' };
    expect(() => tensorsOf(shape, 'Q4_0')).toThrow(/architecture 'mamba2'; there are llama/);
  });
});

describe('bytes per token', () => {
  it('of weights leave out the embedding table and the experts that are not used', () => {
    const shape = shapeNamed('qwen3-30b-a3b');
    const tensors = tensorsOf(shape, 'Q4_K_M');
    const sum = (match: RegExp): number =>
      tensors.filter(({ name }) => match.test(name)).reduce((total, { bytes }) => total + bytes, 0);
    const expected = weightBytes(shape, 'Q4_K_M') - sum(/^token_embd/) - sum(/_exps\.weight$/) * (120 / 128);
    expect(activeWeightBytesPerToken(shape, 'Q4_K_M')).toBeCloseTo(expected, 0);
  });

  it('of weights count a tied embedding as the head', () => {
    const shape = shapeNamed('llama-3.2-1b');
    expect(activeWeightBytesPerToken(shape, 'Q4_K_M')).toBe(weightBytes(shape, 'Q4_K_M'));
  });

  it('of the KV cache are kept apart for sliding windows', () => {
    const full = kvBytesPerToken(shapeNamed('llama-3.1-8b'), 'F16', 'F16');
    expect(full).toEqual({ fullAttention: 131_072, slidingWindow: 0 });
    const oss = kvBytesPerToken(shapeNamed('gpt-oss-20b'), 'F16', 'F16');
    expect(oss).toEqual({ fullAttention: 24_576, slidingWindow: 24_576 });
    const quantised = kvBytesPerToken(shapeNamed('llama-3.1-8b'), 'Q8_0', 'F16');
    expect(quantised.fullAttention).toBe(32 * 8 * 128 * (34 / 32 + 2));
  });

  it('follow the engine in which layers of gpt-oss have a window', () => {
    const shape = shapeNamed('gpt-oss-20b');
    expect([0, 1, 2, 3].map((layer) => isSlidingWindowLayer(shape, layer))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});
