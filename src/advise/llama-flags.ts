import { DEFAULT_CONTEXT, type ContextMemorySettings, type Placement } from '../model/index.ts';

/** Means all layers to llama.cpp, whatever the model has. */
const ALL_LAYERS = 999;

/** The flags of llama-server that make this context; those that are its defaults are left out (common/arg.cpp). */
export function llamaFlags(settings: ContextMemorySettings, placement: Placement): string[] {
  const flags = ['-c', String(settings.contextTokens), '-ngl', String(placement.gpuLayers ?? ALL_LAYERS)];
  if (placement.cpuMoeLayers > 0) flags.push('-ncmoe', String(placement.cpuMoeLayers));
  // The server makes four slots unless it is told otherwise.
  flags.push('-np', String(settings.sequences));
  if (settings.sequences > 1) flags.push(settings.unifiedCache ? '--kv-unified' : '--no-kv-unified');
  if (settings.batchTokens !== DEFAULT_CONTEXT.batchTokens) flags.push('-b', String(settings.batchTokens));
  if (settings.ubatchTokens !== DEFAULT_CONTEXT.ubatchTokens)
    flags.push('-ub', String(settings.ubatchTokens));
  if (settings.cacheTypeK !== 'F16') flags.push('-ctk', settings.cacheTypeK.toLowerCase());
  if (settings.cacheTypeV !== 'F16') flags.push('-ctv', settings.cacheTypeV.toLowerCase());
  flags.push('-fa', settings.flashAttention ? 'on' : 'off');
  return flags;
}
