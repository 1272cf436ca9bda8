import { readFileSync } from 'node:fs';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import { resolveModelName } from '../../src/catalog/index.ts';
import { typicalHeaderBytes } from './typical-header.ts';
import { padded } from '../../src/model/gguf/metadata.ts';
import {
  isMixName,
  MIX_NAMES,
  shapeOf,
  tensorsOf,
  type MixName,
  type ModelShape,
} from '../../src/model/index.ts';
import { tensorsWithNextTokenLayers, type ModelTensor } from '../../src/model/tensors.ts';

/** A published size. */
interface PublishedSize {
  readonly model: string;
  readonly file: string;
  readonly quantisation: string;
  readonly what: 'file' | 'tensors';
  readonly bytes: number;
  readonly source: string;
}

/** How a published file differs from what the catalogue's shape and the rules of v0.5.0 give. */
interface Variant {
  readonly why: string;
  readonly shape?: Partial<ModelShape>;
  readonly mix?: MixName;
  readonly nextTokenLayers?: true;
}

type Comparison =
  | { readonly outcome: 'exact' | 'within' | 'apart'; readonly ours: number; readonly variant: string | null }
  | { readonly outcome: 'unknown'; readonly why: string; readonly estimate: number | null };

/** Done when a file is nearer than this to what was computed: a header is not computed, but typical. */
const FILE_TOLERANCE = 0.005;

const HEAD_TWICE = 'the file stores the tied embedding a second time as the head';

/** Files that are known to be built differently, by `model` or `model quantisation`. */
const VARIANTS: Readonly<Record<string, Variant>> = {
  'qwen2.5-0.5b': { why: HEAD_TWICE, shape: { tiedEmbeddings: false } },
  'qwen2.5-1.5b': { why: HEAD_TWICE, shape: { tiedEmbeddings: false } },
  'qwen2.5-3b': { why: HEAD_TWICE, shape: { tiedEmbeddings: false } },
  'qwen2.5-0.5b F16': { why: '' },
  'phi-4-14b IQ3_M': {
    why: 'the file is of the Llama form of the model, with queries, keys and values apart',
    shape: { architecture: 'llama' },
  },
  'gpt-oss-20b MXFP4': { why: 'the file is the F16 one', mix: 'F16' },
  'qwen3.6-27b Q8_0': { why: 'the file has the layer that predicts a further token', nextTokenLayers: true },
  'glm-4.7 BF16': { why: 'the file has the layer that predicts a further token', nextTokenLayers: true },
  'glm-5 BF16': { why: 'the file has the layer that predicts a further token', nextTokenLayers: true },
};

/** Why a published size is not reproduced, by `model` or `model quantisation`. */
export const EXCEPTIONS: Readonly<Record<string, string>> = {
  'starcoder2-3b Q2_K': 'made in 2024, when a tied embedding was not promoted',
  'starcoder2-3b Q3_K_M': 'made in 2024, when a tied embedding was not promoted',
  'starcoder2-3b Q4_K_M': 'made in 2024, when a tied embedding was not promoted',
  'phi-3.5-mini Q2_K': 'made in 2024, when attn_qkv had a rule of its own',
  'phi-4-mini Q2_K': 'a Q2_K_L file: the embedding by hand in another type',
  'codellama-7b Q2_K(2023 mix)': 'made in 2023, by the first rules of the K mixes',
  'qwen3.5-4b Q4_K_M(bartowski)': 'not made by the rules: neither publisher’s file is, and the two differ',
  'qwen3.5-9b Q4_K_M(bartowski)': 'not made by the rules: neither publisher’s file is, and the two differ',
  'qwen3.5-4b Q4_K_M(unsloth)': 'not made by the rules: neither publisher’s file is, and the two differ',
  'qwen3.5-9b Q4_K_M(unsloth)': 'not made by the rules: neither publisher’s file is, and the two differ',
  'qwen3.6-35b-a3b Q2_K': 'a TQ3_4S file of a fork, whose header says Q2_K',
  'deepseek-v4-flash IQ3_XXS': 'a UD-IQ1_M file, whose header says IQ3_XXS',
  'apertus-8b BF16': '64 RoPE factors (256 bytes) that the shape has not',
  'step-3.7-flash BF16': '64 RoPE factors (256 bytes) that the shape has not',
  'qwen3-next-80b-a3b BF16': 'made when the gates of the shared experts were not yet kept in F32',
  'glm-4.7 BF16':
    'the layer that predicts a further token has an embedding and a head of its own in the file',
  'glm-5 BF16': 'made when the indexers’ proj was not yet kept in F32',
  'minimax-m3 BF16': 'the shape has 0.05 % more weights than the file',
};

export function publishedSizes(): PublishedSize[] {
  const text = readFileSync(new URL('gguf-sizes.csv', import.meta.url), 'utf8');
  return text
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [model = '', file = '', quantisation = '', what, size, source = ''] = line.split(',');
      return {
        model,
        file,
        quantisation,
        what: what === 'file' ? 'file' : 'tensors',
        bytes: Number(size),
        source,
      };
    });
}

const RECORDS = readModelRecords();

/** Holds a published size against what shape and mix give. */
export function compareSize(published: PublishedSize): Comparison {
  const { model, quantisation } = published;
  const variant = VARIANTS[`${model} ${quantisation}`] ?? VARIANTS[model];
  const found = shapeNamed(model);
  if (found === null) return { outcome: 'unknown', why: 'the model is not in the catalogue', estimate: null };
  const mix = variant?.mix ?? mixOfLabel(quantisation);
  if (mix === null) return handPicked(quantisation, found);
  const shape = { ...found, ...variant?.shape };
  const tensors =
    variant?.nextTokenLayers === true ? tensorsWithNextTokenLayers(shape, mix) : tensorsOf(shape, mix);
  const ours =
    published.what === 'tensors'
      ? sum(tensors, 1)
      : sum(tensors, 32) + typicalHeaderBytes(shape.vocabularySize);
  const why = variant === undefined || variant.why === '' ? null : variant.why;
  if (published.what === 'tensors')
    return { outcome: ours === published.bytes ? 'exact' : 'apart', ours, variant: why };
  const isWithin = Math.abs(ours - published.bytes) <= FILE_TOLERANCE * published.bytes;
  return { outcome: isWithin ? 'within' : 'apart', ours, variant: why };
}

/** Types picked tensor by tensor: the header says them. The mix whose name is nearest gives an estimate. */
function handPicked(label: string, shape: ModelShape): Comparison {
  const base = label
    .replace(/^UD-/, '')
    .replace('Q8_K_XL', 'Q8_0')
    .replace('Q6_K_XL', 'Q6_K')
    .replace(/_XL$/, '_M');
  if (!isMixName(base)) return { outcome: 'unknown', why: 'types picked by hand', estimate: null };
  return {
    outcome: 'unknown',
    why: `types picked by hand; an estimate by ${base}`,
    estimate: sum(tensorsOf(shape, base), 1),
  };
}

function sum(tensors: readonly ModelTensor[], alignment: number): number {
  return tensors.reduce((total, { bytes }) => total + padded(bytes, alignment), 0);
}

function mixOfLabel(label: string): MixName | null {
  const plain = label.replace(/\(.*\)$/, '').replace('mxfp4', 'MXFP4');
  return isMixName(plain) ? plain : null;
}

function shapeNamed(name: string): ModelShape | null {
  try {
    return shapeOf(resolveModelName(name, RECORDS, MIX_NAMES).record);
  } catch {
    return null;
  }
}

/** The table of docs/gguf.md: what is not simply reproduced, and why. */
export function exceptionTable(): string {
  const rows = publishedSizes().flatMap((published) => {
    const compared = compareSize(published);
    if (compared.outcome === 'exact' || compared.outcome === 'within') {
      if (compared.variant === null) return [];
      return [
        [
          published,
          compared.outcome === 'exact' ? '0' : percent(compared.ours, published),
          compared.variant,
        ] as const,
      ];
    }
    if (compared.outcome === 'unknown') {
      const apart = compared.estimate === null ? 'not computed' : percent(compared.estimate, published);
      return [[published, apart, compared.why] as const];
    }
    const why = EXCEPTIONS[`${published.model} ${published.quantisation}`] ?? 'unexplained';
    return [[published, percent(compared.ours, published), why] as const];
  });
  return [
    '| model | quantisation | published | ours apart by | why |',
    '| --- | --- | ---: | ---: | --- |',
    ...rows.map(
      ([{ model, quantisation, bytes, what }, apart, why]) =>
        `| ${model} | ${quantisation} | ${bytes} (${what}) | ${apart} | ${why} |`,
    ),
  ].join('\n');
}

function percent(ours: number, { bytes }: PublishedSize): string {
  return `${((ours / bytes - 1) * 100).toFixed(2)} %`;
}
