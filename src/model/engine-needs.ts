import { architectureOf } from './architectures/registry.ts';
import { isRecurrentLayer, isSlidingWindowLayer, ofLayer, type ModelShape } from './shape.ts';

/**
 * Kinds of memory that llama.cpp lays out for a model's architecture, and of which each must be used by some layer:
 * the inputs of a graph that no layer reads have no buffer, and the engine ends (`set_input` of the memories in
 * src/llama-graph.cpp; for DeepSeek V4 the divisions in src/llama-kv-cache-dsv4.cpp; release v0.5.0).
 */
type Need =
  | 'state'
  | 'cache'
  | 'indexer'
  | 'full attention'
  | 'windowed attention'
  | `rows of ${number} tokens`;

/** What the engine uses for this layer. */
function needsOf(shape: ModelShape, layer: number): readonly Need[] {
  const { compressedAttention, indexer } = shape;
  const ratio = compressedAttention === null ? 0 : ofLayer(compressedAttention.ratios, layer);
  return [
    ...(isRecurrentLayer(shape, layer) ? (['state'] as const) : []),
    ...(ofLayer(shape.kvHeads, layer) > 0 ? (['cache'] as const) : []),
    ...(indexer !== null && ofLayer(indexer.onLayers, layer) ? (['indexer'] as const) : []),
    ...(needsBothAttentions(shape)
      ? [isSlidingWindowLayer(shape, layer) ? ('windowed attention' as const) : ('full attention' as const)]
      : []),
    ...(ratio > 0 ? [`rows of ${ratio} tokens` as const] : []),
  ];
}

function needsBothAttentions({ architecture, slidingWindow }: ModelShape): boolean {
  return slidingWindow !== null && architectureOf(architecture).needsBothAttentions === true;
}

function needsOfAll(shape: ModelShape, layers: readonly number[]): Set<Need> {
  return new Set(layers.flatMap((layer) => needsOf(shape, layer)));
}

function everyLayer(shape: ModelShape): number[] {
  return Array.from({ length: shape.layers }, (_, layer) => layer);
}

/** The fewest layers that a file of this model must have for the engine to run it: 1 where all are of one kind. */
export function fewestRunnableLayers(shape: ModelShape): number {
  const left = needsOfAll(shape, everyLayer(shape));
  let count = 0;
  while (left.size > 0) {
    const covered = everyLayer(shape)
      .map((layer) => needsOf(shape, layer).filter((need) => left.has(need)))
      .reduce((most, each) => (each.length > most.length ? each : most));
    for (const need of covered) left.delete(need);
    count += 1;
  }
  // Where positions decide, the first full layer is the last of the first period.
  const period = needsBothAttentions(shape) ? (shape.slidingWindow?.period ?? 1) : 1;
  return Math.max(count, period);
}

/**
 * The sample with a layer for every need of the model: where one is missing, a layer from the middle of those that
 * have it takes the place of a neighbour without which nothing is missing.
 * @param mayReplace - whether the engine takes the layer at the place of another one in the file.
 */
export function withEveryNeed(
  shape: ModelShape,
  sample: readonly number[],
  mayReplace: (position: number, layer: number) => boolean,
): number[] {
  const complete = [...sample];
  for (const need of needsOfAll(shape, everyLayer(shape))) {
    if (needsOfAll(shape, complete).has(need)) continue;
    const owners = everyLayer(shape).filter((layer) => needsOf(shape, layer).includes(need));
    const owner = owners[Math.floor(owners.length / 2)] ?? 0;
    const before = needsOfAll(shape, complete);
    const places = complete
      .map((_, position) => position)
      .filter((position) => mayReplace(position, owner))
      .filter((position) => {
        const after = needsOfAll(shape, complete.with(position, owner));
        return [...before].every((each) => after.has(each));
      })
      .sort((a, b) => Math.abs((complete[a] ?? 0) - owner) - Math.abs((complete[b] ?? 0) - owner));
    const [place] = places;
    if (place !== undefined) complete[place] = owner;
  }
  return complete;
}
