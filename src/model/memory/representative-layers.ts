import { isExpertLayer, isRecurrentLayer, ofLayer, type ModelShape } from '../shape.ts';
import { decoderRotates } from './graph/models/decoder.ts';
import { SPARSE_LAYERS } from './graph/models/gemma-per-layer.ts';
import { isWindowed } from './kv-state.ts';

/** Architectures that read the streams of earlier layers as well (`res_mix`, src/models/kimi-k3.cpp). */
const BANKS_RESIDUALS: ReadonlySet<string> = new Set(['kimi-k3']);
/** Layers at either end of a run that repeats itself which are laid out, if that is more than a period. */
const KEPT_AT_AN_END = 3;
/** Kinds of layers follow each other in periods of up to this many (Gemma 3: 6, Jamba: 8). */
const LONGEST_PERIOD = 12;

/**
 * The layers that are laid out: all but whole periods from within runs in which kinds of layers repeat themselves, as
 * the pattern of memory does there.
 */
export function representativeLayers(shape: ModelShape): number[] {
  const layers = shape.kvHeads.map((_, layer) => layer);
  // What an indexer needs for each layer is placed before the first, and a bank of streams grows: no layer is like another.
  if (shape.indexer !== null || BANKS_RESIDUALS.has(shape.architecture)) return layers;
  const kinds = layers.map((layer) => layerKind(shape, layer));
  for (let run = longestRun(kinds); run !== null; run = longestRun(kinds)) {
    layers.splice(run.start, run.length);
    kinds.splice(run.start, run.length);
  }
  return layers;
}

/** The largest part that can be left out: whole periods, behind the kept start of a run and before its kept end. */
function longestRun(kinds: readonly string[]): { readonly start: number; readonly length: number } | null {
  let best: { readonly start: number; readonly length: number } | null = null;
  for (let period = 1; period <= LONGEST_PERIOD; period += 1) {
    const kept = Math.max(period, KEPT_AT_AN_END);
    let start = 0;
    for (let layer = period; layer <= kinds.length; layer += 1) {
      if (layer < kinds.length && kinds[layer] === kinds[layer - period]) continue;
      const length = Math.floor((layer - start - 2 * kept) / period) * period;
      if (length > (best?.length ?? 0)) best = { start: start + kept, length };
      start = layer - period + 1;
    }
  }
  return best;
}

function layerKind(shape: ModelShape, layer: number): string {
  return [
    ofLayer(shape.heads, layer),
    ofLayer(shape.kvHeads, layer),
    ofLayer(shape.feedForwardLength, layer),
    isWindowed(shape, layer),
    isRecurrentLayer(shape, layer),
    isExpertLayer(shape, layer),
    layer < shape.layers - shape.sharedKvLayers,
    shape.architecture === 'gemma3n' && layer < SPARSE_LAYERS,
    decoderRotates(shape, layer),
  ].join(' ');
}
