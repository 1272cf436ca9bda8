import { isExpertLayer, isRecurrentLayer, ofLayer, type ModelShape } from '../shape.ts';
import { banksResiduals } from './compute-residuals.ts';
import { SPARSE_LAYERS } from './graph/models/gemma-per-layer.ts';
import { isWindowed } from './kv-state.ts';

/** Layers of a kind at either end that are laid out; between them the pattern of memory repeats itself. */
const LAYERS_OF_A_KIND = 2;

/** The first and the last layers of each kind, in their order. */
export function representativeLayers(shape: ModelShape): number[] {
  // What an indexer needs for each layer is placed before the first, and a bank of streams grows: no layer is like another.
  if (shape.indexer !== null || banksResiduals(shape.architecture))
    return shape.kvHeads.map((_, layer) => layer);
  const byKind = new Map<string, number[]>();
  for (let layer = 0; layer < shape.layers; layer += 1) {
    const kind = layerKind(shape, layer);
    const others = byKind.get(kind);
    if (others === undefined) byKind.set(kind, [layer]);
    else others.push(layer);
  }
  const chosen = [...byKind.values()].flatMap((layers) => [
    ...layers.slice(0, LAYERS_OF_A_KIND),
    ...layers.slice(-LAYERS_OF_A_KIND),
  ]);
  return [...new Set(chosen)].sort((a, b) => a - b);
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
  ].join(' ');
}
