import type { GgmlTypeName } from '../ggml-types.ts';
import type { MetadataValue } from '../gguf/metadata.ts';
import type { ModelShape } from '../shape.ts';

/** What a tensor is for: decides its type in a mix, how its weights are drawn and which work reads it. */
export type TensorRole =
  | 'token-embedding'
  /** A second table of embeddings, of which each layer takes its part (Gemma 3n and 4). */
  | 'per-layer-embedding'
  | 'output'
  | 'norm'
  /** A norm of what is added to the residual stream. */
  | 'post-norm'
  /** Factors that multiply what they are applied to, as they are. */
  | 'scale'
  | 'rope-frequencies'
  | 'attention-q'
  | 'attention-k'
  | 'attention-v'
  /** Queries, keys and values in one matrix. */
  | 'attention-qkv'
  | 'attention-output'
  | 'attention-sinks'
  /** A matrix of which llama.cpp's quantiser knows nothing, so that it gets the mix's own type. */
  | 'projection'
  /** A matrix that llama.cpp's quantiser leaves alone (`tensor_allows_quantization`). */
  | 'unquantised-projection'
  | 'feed-forward-gate'
  | 'feed-forward-up'
  | 'feed-forward-down'
  | 'expert-router'
  /** Added to the router's scores before experts are chosen, to use them all. */
  | 'expert-score-correction'
  | 'expert-gate'
  | 'expert-up'
  | 'expert-down'
  /** A matrix like 'projection' whose result is added to the residual stream. */
  | 'residual-projection'
  /** Small weights that are F32 in every file: convolutions over the last few tokens, the decay of RWKV. */
  | 'full-precision'
  /** The experts of each token of the vocabulary, whole numbers (DeepSeek V4). */
  | 'expert-table'
  /** How fast the states of recurrent layers fade: negative factors of an exponent. */
  | 'state-decay'
  /** Biases of the step by which a state advances with each token, before its softplus. */
  | 'time-step'
  | 'bias';

/** One tensor of an architecture, before a mix gives it a type. */
export interface TensorTemplate {
  /** The name after `blk.N.` for a layer's tensor, the whole name for one of the model. */
  readonly name: string;
  readonly role: TensorRole;
  /** ggml order: ne0 is the row. Called with the layer of the full model; 0 for tensors of the model. */
  readonly dims: (shape: ModelShape, layer: number) => readonly number[];
  /** Absent: always there. */
  readonly when?: (shape: ModelShape, layer: number) => boolean;
}

/** Tensors of a layer that predicts further tokens, which are as wide as in one of the model's own layers. */
export interface NextTokenPart {
  readonly like: number;
  readonly tensors: readonly TensorTemplate[];
}

/** What llama.cpp wants in the file of an architecture. */
export interface Architecture {
  /** `general.architecture`. */
  readonly id: string;
  /** Of the model as a whole; they are given the shape of the layers of the file. */
  readonly modelTensors: readonly TensorTemplate[];
  readonly layerTensors: readonly TensorTemplate[];
  /** What one of the layers behind the last, which predict further tokens, is made of; absent: not known. */
  readonly nextTokenLayer?: (shape: ModelShape) => readonly NextTokenPart[];
  /**
   * Metadata beside the keys that all architectures share; keys without the architecture's prefix.
   * @param shape - of the layers of the file.
   */
  readonly metadata: (shape: ModelShape) => readonly (readonly [key: string, value: MetadataValue])[];
  /** The engine does not run a file whose layers all have a sliding window, or none of them. */
  readonly needsBothAttentions?: true;
  /** Metadata whose keys have no prefix in the file either. */
  readonly unprefixedMetadata?: Architecture['metadata'];
  /** Experts are published in this type whatever the mix of the file (gpt-oss). */
  readonly nativeExpertType?: GgmlTypeName;
}
