import { fraction, type Fraction } from '../units/index.ts';
import type { GgmlTypeName } from './ggml-types.ts';
import { fewestRunnableLayers, withEveryNeed } from './engine-needs.ts';
import type { MixName } from './mixes.ts';
import { isExpertLayer, isRecurrentLayer, isSlidingWindowLayer, ofLayer, type ModelShape } from './shape.ts';
import { allLayers, tensorsOf } from './tensors.ts';

/** What makes two layers cost the same. */
export interface LayerKind {
  /** Equal for layers of equal kind. */
  readonly key: string;
  readonly attention: 'full' | 'sliding-window' | 'recurrent' | 'none';
  readonly feedForward: 'dense' | 'experts' | 'none';
  /** The type of each tensor, by its name within the layer. */
  readonly types: Readonly<Record<string, GgmlTypeName>>;
}

/** The kind of every layer of the full model, in order. */
export function layerKinds(shape: ModelShape, mix: MixName): LayerKind[] {
  const tensorsByLayer = groupBy(tensorsOf(shape, mix), (tensor) => tensor.layer);
  return allLayers(shape).map((layer) => {
    const tensors = tensorsByLayer.get(layer) ?? [];
    const attention = attentionKind(shape, layer);
    const feedForward = feedForwardKind(shape, layer);
    const types = Object.fromEntries(
      tensors.map((tensor) => [tensor.name.slice(`blk.${layer}.`.length), tensor.type]),
    );
    // Sizes are part of the key: some models change their widths from layer to layer.
    const sizes = tensors.map((tensor) => `${tensor.type}:${tensor.dims.join('x')}`);
    const cache = sharesCache(shape, layer) ? 'shared-cache' : 'own-cache';
    return { key: [attention, cache, feedForward, ...sizes].join(' '), attention, feedForward, types };
  });
}

function attentionKind(shape: ModelShape, layer: number): LayerKind['attention'] {
  if (isRecurrentLayer(shape, layer)) return 'recurrent';
  if (ofLayer(shape.kvHeads, layer) === 0) return 'none';
  return isSlidingWindowLayer(shape, layer) ? 'sliding-window' : 'full';
}

function feedForwardKind(shape: ModelShape, layer: number): LayerKind['feedForward'] {
  if (isExpertLayer(shape, layer)) return 'experts';
  return ofLayer(shape.feedForwardLength, layer) === 0 ? 'none' : 'dense';
}

/** Whether the layer reads the cache of an earlier one. */
function sharesCache(shape: ModelShape, layer: number): boolean {
  return layer >= shape.layers - shape.sharedKvLayers;
}

/** What the engine decides by the position of a layer in the file; equal for layers that may stand for each other. */
function positionKind(shape: ModelShape, position: number): string {
  const { slidingWindow, experts, recurrent } = shape;
  const period = slidingWindow?.period ?? null;
  const full = period === null || position % period === (slidingWindow?.fullFirst ? 0 : period - 1);
  const placement = experts?.placement ?? null;
  const mixture = placement === null || position % placement.every === placement.offset;
  // RWKV's first layer has matrices of another rank than the others: load_arch_tensors of src/models/rwkv7.cpp.
  const ranks = recurrent?.kind === 'rwkv7' && position === 0;
  // Gemma 3n's engine knows the first layer that shares by itself: load_arch_hparams of src/models/gemma3n.cpp.
  const shares = period !== null && sharesCache(shape, position);
  return `${full} ${mixture} ${ranks} ${shares}`;
}

/**
 * Chooses layers of the full model that stand for all of them: the shares of the kinds are as close to those of the
 * full model as `count` layers allow, spread evenly over its depth. Where the engine decides by the position in the
 * file which layers have a sliding window or experts, the layer chosen for a position is of the kind that the engine
 * will make it.
 * @returns for each layer of the file, its index in the full model.
 * @throws RangeError when count is not between the fewest layers that the engine runs and the number of layers.
 */
export function sampleLayers(shape: ModelShape, mix: MixName, count: number): number[] {
  if (!Number.isInteger(count) || count < 1 || count > shape.layers) {
    throw new RangeError(`${shape.id} has ${shape.layers} layers; ${count} of them cannot be sampled`);
  }
  const fewest = fewestRunnableLayers(shape);
  if (count < fewest) {
    throw new RangeError(
      `llama.cpp runs no fewer than ${fewest} layers of ${shape.id}; ${count} cannot be sampled`,
    );
  }
  const kinds = layerKinds(shape, mix);
  const positions = Array.from({ length: count }, (_, position) => position);
  const sample: number[] = [];
  const candidates = groupBy(allLayers(shape), (layer) => positionKind(shape, layer));
  for (const [kind, places] of groupBy(positions, (position) => positionKind(shape, position))) {
    const chosen = proportionalChoice(
      candidates.get(kind) ?? [],
      (layer) => kinds[layer]?.key ?? '',
      places.length,
    );
    for (const [index, place] of places.entries()) sample[place] = chosen[index] ?? 0;
  }
  const mayReplace = (position: number, layer: number): boolean =>
    positionKind(shape, position) === positionKind(shape, layer);
  const complete = inOrder(shape, withEveryNeed(shape, sample, mayReplace));
  return withIndexerFirst(shape, withSharedCaches(shape, complete));
}

/** The layers in the order of the model, as far as positions are alike. */
function inOrder(shape: ModelShape, sample: readonly number[]): number[] {
  const ordered = [...sample];
  const places = groupBy([...sample.keys()], (position) => positionKind(shape, position));
  for (const positions of places.values()) {
    const layers = positions.map((position) => sample[position] ?? 0).sort((a, b) => a - b);
    for (const [index, position] of positions.entries()) ordered[position] = layers[index] ?? 0;
  }
  return ordered;
}

/**
 * Layers without an indexer of their own reuse the choice of the one before them, so that the first of a file has one
 * (the assertion in src/models/glm-dsa.cpp, release v0.5.0): the first that the sample has moves to the front.
 */
function withIndexerFirst({ indexer }: ModelShape, sample: readonly number[]): number[] {
  const owns = (layer: number): boolean => indexer !== null && ofLayer(indexer.onLayers, layer);
  // Where the first layers of the model have none, none is reused (MiniMax M3, DeepSeek V4).
  const first = owns(0) ? sample.find(owns) : sample[0];
  return first === undefined ? [...sample] : [first, ...sample.filter((layer) => layer !== first)];
}

/**
 * Layers without a cache of their own read those of the last windowed and the last full layer before them, which the
 * engine expects in the last two places before them (`layer_reuse_cb`, src/llama-model.cpp, release v0.5.0): these
 * two are in every sample that shares. Where the engine knows the number of caches by itself (Gemma 3n), positions
 * decide, and the sample has sharing layers only if it is as long.
 */
function withSharedCaches(shape: ModelShape, sample: readonly number[]): number[] {
  const sharing = sample.filter((layer) => sharesCache(shape, layer));
  if (sharing.length === 0 || shape.slidingWindow?.period !== null) return [...sample];
  const end = shape.layers - shape.sharedKvLayers;
  const read = [end - 2, end - 1].slice(-sample.length);
  const own = sample.filter((layer) => !sharesCache(shape, layer)).slice(0, -read.length);
  const room = sample.length - own.length - read.length;
  return [...own, ...read, ...sharing.slice(sharing.length - room)];
}

/** Largest remainders: every kind gets its share rounded down, the largest fractions one more. */
function proportionalChoice(
  candidates: readonly number[],
  kindOf: (layer: number) => string,
  count: number,
): number[] {
  const groups = [...groupBy(candidates, kindOf).values()].map((members) => {
    const quota = (members.length / candidates.length) * count;
    return { members, seats: Math.floor(quota), remainder: quota - Math.floor(quota) };
  });
  let left = count - groups.reduce((sum, group) => sum + group.seats, 0);
  for (const group of groups.toSorted((a, b) => b.remainder - a.remainder)) {
    if (left === 0) break;
    group.seats += 1;
    left -= 1;
  }
  return groups.flatMap(({ members, seats }) => spread(members, seats)).sort((a, b) => a - b);
}

/** `count` of the members, evenly over their order. */
function spread(members: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, index) =>
    Math.floor(((index + 0.5) * members.length) / count),
  ).map((at) => members[at] ?? 0);
}

/** `Map.groupBy`, which Node has from release 21 on. */
function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}

/** How often a kind occurs in the full model and in a sample. */
export interface KindShare {
  readonly kind: LayerKind;
  readonly fullCount: number;
  readonly sampleCount: number;
  readonly fullShare: Fraction;
  readonly sampleShare: Fraction;
}

export interface SampleComposition {
  readonly kinds: readonly KindShare[];
  /** The largest difference of a kind's two shares; 0: the sample is exactly proportional. */
  readonly largestDeviation: Fraction;
}

/** How far a sample is from having every kind of layer in the proportion of the full model. */
export function sampleComposition(
  shape: ModelShape,
  mix: MixName,
  layers: readonly number[],
): SampleComposition {
  const all = layerKinds(shape, mix);
  const groups = groupBy(allLayers(shape), (layer) => all[layer]?.key ?? '');
  const kinds: KindShare[] = [];
  for (const [key, members] of groups) {
    const kind = all[members[0] ?? 0];
    if (kind === undefined) continue;
    const sampleCount = layers.filter((layer) => all[layer]?.key === key).length;
    kinds.push({
      kind,
      fullCount: members.length,
      sampleCount,
      fullShare: fraction(members.length / shape.layers),
      sampleShare: fraction(sampleCount / layers.length),
    });
  }
  const deviations = kinds.map(({ fullShare, sampleShare }) => Math.abs(fullShare - sampleShare));
  return { kinds, largestDeviation: fraction(Math.max(0, ...deviations)) };
}
