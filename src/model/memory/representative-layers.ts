import { isExpertLayer, isRecurrentLayer, ofLayer, type ModelShape } from '../shape.ts';
import { decoderRotates } from './graph/models/decoder.ts';
import { SPARSE_LAYERS } from './graph/models/gemma-per-layer.ts';
import { isWindowed } from './kv-state.ts';

/** Architectures that read the streams of earlier layers as well (`res_mix`, src/models/kimi-k3.cpp). */
const BANKS_RESIDUALS: ReadonlySet<string> = new Set(['kimi-k3']);
/** Kinds of layers follow each other in periods of up to this many (Gemma 3: 6, Jamba: 8). */
const LONGEST_PERIOD = 12;
/** Periods that are laid out before a cut, so that two of them can be held against each other and the one behind it. */
const PERIODS_BEFORE = 2;

/** Where layers are left out of a graph. */
export interface LayerCut {
  /** The place of the first layer behind it, among those that are laid out. */
  readonly at: number;
  /** Whole periods of so many layers are left out. */
  readonly period: number;
}

/** The layers of a graph, in their order. */
export interface LaidOutLayers {
  readonly layers: readonly number[];
  /** Empty: none is left out. */
  readonly cuts: readonly LayerCut[];
}

/**
 * The layers that are laid out: all but whole periods from within runs in which kinds of layers repeat themselves. The
 * pattern of memory does so as well once it has settled, which is to be seen from the layers before and behind a cut.
 * @param fold - the pattern of memory repeats itself only after so many periods of layers; infinite: all are laid out.
 * @param kindOf - what else tells layers apart.
 */
export function representativeLayers(
  shape: ModelShape,
  fold: number,
  kindOf: (layer: number) => string,
): LaidOutLayers {
  const layers = shape.kvHeads.map((_, layer) => layer);
  // What an indexer needs for each layer is placed before the first, and a bank of streams grows: no layer is like another.
  if (shape.indexer !== null || BANKS_RESIDUALS.has(shape.architecture) || !Number.isFinite(fold)) {
    return { layers, cuts: [] };
  }
  const kinds = layers.map((layer) => `${layerKind(shape, layer)} ${kindOf(layer)}`);
  let cuts: LayerCut[] = [];
  for (let run = longestRun(kinds, fold); run !== null; run = longestRun(kinds, fold)) {
    const { start, length, period } = run;
    layers.splice(start, length);
    kinds.splice(start, length);
    cuts = cuts.map((cut) => (cut.at >= start + length ? { ...cut, at: cut.at - length } : cut));
    cuts.push({ at: start, period });
  }
  return { layers, cuts };
}

interface Run {
  readonly start: number;
  readonly length: number;
  readonly period: number;
}

/** The largest part that can be left out: whole periods, behind the kept start of a run and before its kept end. */
function longestRun(kinds: readonly string[], fold: number): Run | null {
  let best: Run | null = null;
  for (let single = 1; single <= LONGEST_PERIOD; single += 1) {
    const period = single * fold;
    // The first layer and the last have neighbours of another kind.
    const before = PERIODS_BEFORE * period + 1;
    const behind = period + 1;
    let start = 0;
    for (let layer = single; layer <= kinds.length; layer += 1) {
      if (layer < kinds.length && kinds[layer] === kinds[layer - single]) continue;
      const length = Math.floor((layer - start - before - behind) / period) * period;
      if (length > (best?.length ?? 0)) best = { start: start + before, length, period };
      start = layer - single + 1;
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
