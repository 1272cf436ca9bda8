import { ofLayer, type ModelShape } from '../shape.ts';
import { bytes, type Bytes } from '../../units/index.ts';
import { CSA_RATIO, HCA_RATIO } from './kv-state.ts';
import type { ResolvedContext } from './settings.ts';

/** State of fixed size, layer by layer: it does not grow with the context. */
export interface RecurrentLayer {
  readonly layer: number;
  readonly bytes: Bytes;
}

/** The state is kept in F32 whatever the type of the KV cache (`create_memory`, src/llama-model.cpp). */
const STATE_BYTES = 4;

/** Values of a layer's state for one sequence: the last inputs of its convolution, and what it remembers. */
export interface StateLengths {
  readonly convolution: number;
  readonly memory: number;
}

/** `n_embd_r` and `n_embd_s`, src/llama-hparams.cpp, release v0.5.0. */
export function stateLengths(shape: ModelShape): StateLengths {
  const { recurrent, embeddingLength } = shape;
  if (recurrent === null) return { convolution: 0, memory: 0 };
  switch (recurrent.kind) {
    case 'mamba1':
      return {
        convolution: (recurrent.convWidth - 1) * recurrent.innerLength,
        memory: recurrent.stateLength * recurrent.innerLength,
      };
    case 'mamba2':
    case 'gated-delta-net':
      return {
        convolution:
          (recurrent.convWidth - 1) * (recurrent.innerLength + 2 * recurrent.groups * recurrent.stateLength),
        memory: recurrent.stateLength * recurrent.innerLength,
      };
    case 'kimi-delta':
      return {
        convolution: 3 * (recurrent.convWidth - 1) * recurrent.heads * recurrent.headLength,
        memory: recurrent.headLength ** 2 * recurrent.heads,
      };
    case 'short-convolution':
      return { convolution: embeddingLength * (recurrent.convWidth - 1), memory: 0 };
    case 'rwkv7':
      return {
        convolution: recurrent.tokenShifts * embeddingLength,
        memory: embeddingLength * recurrent.headLength,
      };
  }
}

/** The states of a context: src/llama-memory-recurrent.cpp, and the compressors of src/llama-kv-cache-dsv4.cpp. */
export function recurrentLayers(shape: ModelShape, { sequences }: ResolvedContext): RecurrentLayer[] {
  if (shape.compressedAttention !== null) return compressorLayers(shape, sequences);
  const { recurrent } = shape;
  if (recurrent === null) return [];
  const { convolution, memory } = stateLengths(shape);
  const size = bytes((convolution + memory) * STATE_BYTES * Math.max(1, sequences));
  return recurrent.onLayers.flatMap((is, layer) => (is ? [{ layer, bytes: size }] : []));
}

/**
 * DeepSeek V4's compressors keep what has not filled a row yet, and its scores: two rows of a ratio of 4, which
 * overlap, or one of 128, and those of the indexer.
 */
function compressorLayers(shape: ModelShape, sequences: number): RecurrentLayer[] {
  const indexerLength = shape.indexer?.headLength ?? 0;
  const valuesOf = (ratio: number): number => {
    if (ratio === CSA_RATIO) return 2 * CSA_RATIO * 2 * (shape.keyHeadLength + indexerLength);
    return ratio === HCA_RATIO ? HCA_RATIO * shape.keyHeadLength : 0;
  };
  /** The state itself and its scores. */
  const planes = 2;
  return shape.kvHeads.flatMap((_, layer) => {
    const values = valuesOf(ofLayer(shape.compressedAttention?.ratios ?? [], layer));
    return values === 0 ? [] : [{ layer, bytes: bytes(values * planes * STATE_BYTES * sequences) }];
  });
}
