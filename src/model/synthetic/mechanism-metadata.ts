import type { MetadataEntry, MetadataValue } from '../gguf/metadata.ts';
import type {
  CompressedAttentionShape,
  IndexerShape,
  LatentAttentionShape,
  ModelShape,
  RecurrentShape,
} from '../shape.ts';

/**
 * The keys of latent, indexed and recurrent attention, without the architecture's prefix; they mean the same to all
 * architectures: `load_arch_hparams` of src/models/*.cpp and `LLM_KV_NAMES` of src/llama-arch.cpp, llama.cpp release
 * v0.5.0.
 * @param shape - of the layers of the file.
 */
export function mechanismMetadata(shape: ModelShape): MetadataEntry[] {
  return [
    ...(shape.latentAttention === null ? [] : latentAttentionMetadata(shape.latentAttention)),
    ...(shape.indexer === null ? [] : indexerMetadata(shape.indexer)),
    ...(shape.compressedAttention === null ? [] : compressedAttentionMetadata(shape.compressedAttention)),
    ...(shape.recurrent === null ? [] : recurrentMetadata(shape.recurrent)),
  ];
}

function latentAttentionMetadata(latent: LatentAttentionShape): MetadataEntry[] {
  return [
    ['attention.kv_lora_rank', u32(latent.kvRank)],
    ['attention.q_lora_rank', u32(latent.queryRank ?? 0)],
    ['attention.key_length_mla', u32(latent.keyHeadLength)],
    ['attention.value_length_mla', u32(latent.valueHeadLength)],
  ];
}

function indexerMetadata(indexer: IndexerShape): MetadataEntry[] {
  return [
    ['attention.indexer.head_count', u32(indexer.heads)],
    ['attention.indexer.key_length', u32(indexer.headLength)],
    ['attention.indexer.top_k', u32(indexer.topK)],
    // Read by glm-dsa, where most layers reuse the choice of an earlier one.
    ['attention.indexer.types', { type: 'u32[]', value: indexer.onLayers.map(Number) }],
    ...(indexer.blocks === null
      ? []
      : ([
          ['attention.indexer.block_size', u32(indexer.blocks.size)],
          ['attention.indexer.local_blocks', u32(indexer.blocks.local)],
        ] satisfies MetadataEntry[])),
  ];
}

function compressedAttentionMetadata(compressed: CompressedAttentionShape): MetadataEntry[] {
  return [
    ['attention.compress_ratios', { type: 'u32[]', value: compressed.ratios }],
    ['attention.q_lora_rank', u32(compressed.queryRank)],
    ['attention.output_group_count', u32(compressed.outputGroups)],
    ['attention.output_lora_rank', u32(compressed.outputRank)],
    ['hyper_connection.count', u32(compressed.hyperConnections)],
  ];
}

function recurrentMetadata(recurrent: RecurrentShape): MetadataEntry[] {
  switch (recurrent.kind) {
    case 'mamba1':
      return [
        ['ssm.conv_kernel', u32(recurrent.convWidth)],
        ['ssm.inner_size', u32(recurrent.innerLength)],
        ['ssm.state_size', u32(recurrent.stateLength)],
        ['ssm.time_step_rank', u32(recurrent.timeStepRank)],
      ];
    case 'mamba2':
    case 'gated-delta-net':
      return [
        ['ssm.conv_kernel', u32(recurrent.convWidth)],
        ['ssm.inner_size', u32(recurrent.innerLength)],
        ['ssm.state_size', u32(recurrent.stateLength)],
        ['ssm.time_step_rank', u32(recurrent.heads)],
        ['ssm.group_count', u32(recurrent.groups)],
        ...recurrentLayersMetadata(recurrent),
      ];
    case 'kimi-delta':
      return [
        ['ssm.conv_kernel', u32(recurrent.convWidth)],
        ['kda.head_dim', u32(recurrent.headLength)],
      ];
    case 'short-convolution':
      return [['shortconv.l_cache', u32(recurrent.convWidth)]];
    case 'rwkv7':
      return [
        ['wkv.head_size', u32(recurrent.headLength)],
        ['token_shift_count', u32(recurrent.tokenShifts)],
        ['attention.decay_lora_rank', u32(recurrent.loraRanks.decay)],
        ['attention.iclr_lora_rank', u32(recurrent.loraRanks.learningRate)],
        ['attention.value_residual_mix_lora_rank', u32(recurrent.loraRanks.value)],
        ['attention.gate_lora_rank', u32(recurrent.loraRanks.gate)],
      ];
  }
}

/**
 * Where the number of KV heads is one for all layers, the interval of published files would say which are recurrent;
 * a list says it for any choice of layers.
 */
function recurrentLayersMetadata({ onLayers, fullAttentionEvery }: RecurrentShape): MetadataEntry[] {
  return fullAttentionEvery === null
    ? []
    : [['attention.recurrent_layers', { type: 'u32[]', value: onLayers.map(Number) }]];
}

function u32(value: number): MetadataValue {
  return { type: 'u32', value };
}
