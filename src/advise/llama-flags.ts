import { DEFAULT_CONTEXT, type ContextMemorySettings, type Placement } from '../model/index.ts';

/** Means all layers to llama.cpp, whatever the model has. */
const ALL_LAYERS = 999;

/**
 * The flags of llama-server that make this context; those that are its defaults are left out (common/arg.cpp).
 * @param placement - null: there is no GPU.
 */
export function llamaFlags(settings: ContextMemorySettings, placement: Placement | null): string[] {
  const flags = ['-c', String(settings.contextTokens), ...placementFlags(placement)];
  // The server makes four slots unless it is told otherwise.
  flags.push('-np', String(settings.sequences));
  if (settings.sequences > 1) flags.push(settings.unifiedCache ? '--kv-unified' : '--no-kv-unified');
  if (settings.batchTokens !== DEFAULT_CONTEXT.batchTokens) flags.push('-b', String(settings.batchTokens));
  if (settings.ubatchTokens !== DEFAULT_CONTEXT.ubatchTokens)
    flags.push('-ub', String(settings.ubatchTokens));
  if (settings.cacheTypeK !== 'F16') flags.push('-ctk', settings.cacheTypeK.toLowerCase());
  if (settings.cacheTypeV !== 'F16') flags.push('-ctv', settings.cacheTypeV.toLowerCase());
  flags.push('-fa', settings.flashAttention ? 'on' : 'off');
  if (settings.draftsFurtherTokens === true) flags.push('--spec-type', 'draft-mtp');
  return flags;
}

function placementFlags(placement: Placement | null): string[] {
  if (placement === null) return [];
  const { gpuLayers, cpuMoeLayers, deviceShares } = placement;
  return [
    '-ngl',
    String(gpuLayers ?? ALL_LAYERS),
    ...(cpuMoeLayers > 0 ? ['-ncmoe', String(cpuMoeLayers)] : []),
    ...(deviceShares === undefined ? [] : ['-ts', deviceShares.join(',')]),
  ];
}
