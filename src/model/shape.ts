import type { ModelRecord } from '../catalog/index.ts';

/** How a mixture of experts is built. */
export interface ExpertShape {
  readonly count: number;
  /** Experts that each token is routed to. */
  readonly used: number;
  readonly feedForwardLength: number;
}

export type RopeScaling = NonNullable<ModelRecord['rope']['scaling']>;
export type BiasKind = ModelRecord['biases'][number];

/**
 * Everything that decides the speed and the memory of a model, and nothing else: two models with the same shape
 * run alike. Lists have one value for each layer.
 */
export interface ModelShape {
  /** The catalogue's id, or a name of the caller's; part of file names. */
  readonly id: string;
  /** As llama.cpp names it in `general.architecture`. */
  readonly architecture: string;
  readonly layers: number;
  readonly embeddingLength: number;
  readonly feedForwardLength: readonly number[];
  readonly heads: readonly number[];
  readonly kvHeads: readonly number[];
  readonly keyHeadLength: number;
  readonly valueHeadLength: number;
  readonly experts: ExpertShape | null;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly ropeBase: number;
  readonly ropeScaling: RopeScaling | null;
  readonly normEpsilon: number;
  /** `period` p: every p-th layer has full attention, the others see `size` tokens; null: all layers are full. */
  readonly slidingWindow: { readonly size: number; readonly period: number } | null;
  readonly tiedEmbeddings: boolean;
  readonly biases: readonly BiasKind[];
}

/** The shape of a record of the catalogue. */
export function shapeOf(record: ModelRecord): ModelShape {
  const everyLayer = (value: number | readonly number[]): readonly number[] =>
    typeof value === 'number' ? Array<number>(record.layers).fill(value) : value;
  return {
    id: record.id,
    architecture: record.architecture,
    layers: record.layers,
    embeddingLength: record.embeddingLength,
    feedForwardLength: everyLayer(record.feedForwardLength),
    heads: everyLayer(record.heads),
    kvHeads: everyLayer(record.kvHeads),
    keyHeadLength: record.keyHeadLength,
    valueHeadLength: record.valueHeadLength,
    experts:
      record.experts === undefined
        ? null
        : {
            count: record.experts.count,
            used: record.experts.used,
            feedForwardLength: record.experts.feedForwardLength,
          },
    vocabularySize: record.vocabularySize,
    contextLength: record.contextLength,
    ropeBase: record.rope.base,
    ropeScaling: record.rope.scaling ?? null,
    normEpsilon: record.normEpsilon,
    slidingWindow: record.slidingWindow ?? null,
    tiedEmbeddings: record.tiedEmbeddings,
    biases: record.biases,
  };
}

/** The value of a list of a shape for one layer. @throws RangeError when the layer is not one of the model. */
export function ofLayer(values: readonly number[], layer: number): number {
  const value = values[layer];
  if (value === undefined) throw new RangeError(`layer ${layer} is not one of 0 to ${values.length - 1}`);
  return value;
}

/** Whether the layer attends to a sliding window: `set_swa_pattern`, src/llama-hparams.cpp, release v0.5.0. */
export function isSlidingWindowLayer(shape: ModelShape, layer: number): boolean {
  if (shape.slidingWindow === null) return false;
  const { period } = shape.slidingWindow;
  return layer % period < period - 1;
}
