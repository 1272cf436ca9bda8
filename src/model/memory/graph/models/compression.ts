import { CSA_RATIO } from '../../kv-state.ts';
import { cachedKeys, rotate, writeKeys } from '../attention.ts';
import type { GraphScope } from '../graph-scope.ts';
import { TYPE } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';

/** The inputs of a cache whose rows stand for several tokens: `dsv4_build_comp_inputs`, src/llama-graph.cpp. */
export interface CompressionInputs {
  readonly ratio: number;
  readonly positions: Tensor;
  readonly keptFrom: Tensor;
  readonly keptTo: Tensor;
  readonly read: Tensor;
  readonly written: Tensor;
  readonly writtenPositions: Tensor;
  readonly mask: Tensor;
  /** -1: rows are not rotated. */
  readonly rotation: Tensor;
}

/** Rows of a ratio of 4 overlap: each is made of its own tokens and of those of the row before. */
const overlaps = (ratio: number): boolean => ratio === CSA_RATIO;

/** Tokens that a sequence keeps until they fill a row. */
const stateRows = (ratio: number): number => (overlaps(ratio) ? 2 * ratio : ratio);

/** Sizes as `dsv4_build_reserve_comp_plan` has them (src/llama-kv-cache-dsv4.cpp): the worst of all divisions. */
export function compressionInputs(
  { graph, context, tokens }: GraphScope,
  ratio: number,
  mask: Tensor,
  rotation: Tensor,
): CompressionInputs {
  const { sequences } = context;
  const blocks = Math.floor(tokens / ratio) + sequences;
  const kept = Math.min(tokens, stateRows(ratio) * sequences);
  return {
    ratio,
    positions: graph.input(TYPE.i32, tokens),
    keptFrom: graph.input(TYPE.i32, kept),
    keptTo: graph.input(TYPE.i32, kept),
    read: graph.input(TYPE.i32, stateRows(ratio) * blocks),
    written: graph.input(TYPE.i64, blocks),
    writtenPositions: graph.input(TYPE.i32, blocks),
    mask,
    rotation,
  };
}

/** Which compressor of a layer: that of attention, or that of its indexer. */
export type Compressor = 'attn' | 'indexer';

/** Writes the rows that a ubatch fills, and keeps what has not filled one (`build_attention_impl`). */
export function compress(
  scope: GraphScope,
  inputs: CompressionInputs,
  layer: number,
  normed: Tensor,
  compressor: Compressor,
): void {
  const { graph, shape, context } = scope;
  const { ratio } = inputs;
  const length = compressor === 'attn' ? shape.keyHeadLength : (shape.indexer?.headLength ?? 0);
  const weight = (name: string): Tensor => scope.of(layer, `${compressor}_compressor_${name}.weight`);
  const rows = stateRows(ratio) * context.sequences;
  const width = overlaps(ratio) ? 2 * length : length;
  const state = (): Tensor => scope.layerMemory(layer, TYPE.f32, width, stateRows(ratio), context.sequences);
  const [valueState, scoreState] = [state(), state()];
  const whole = (a: Tensor): Tensor => graph.view2d(a, width, rows, graph.nb(a, 1));
  const values = graph.mulMat(weight('kv'), normed);
  const biases = graph.getRows(weight('ape'), inputs.positions);
  const scores = graph.add(graph.mulMat(weight('gate'), normed), biases);
  const joined = (kept: Tensor, fresh: Tensor): Tensor => graph.concat(whole(whole(kept)), fresh, 1);
  const sources = [joined(valueState, values), joined(scoreState, scores)] as const;
  const parts = overlaps(ratio)
    ? sources.map((source) => overlappingRows(scope, inputs, source, length))
    : sources.map((source) => {
        const read = graph.getRows(source, inputs.read);
        return graph.reshape(read, length, ratio, graph.ne(inputs.written, 0));
      });
  const [gathered = -1, weighed = -1] = parts.map((each) => graph.cont(graph.permute(each, 1, 0, 2, 3)));
  const sum = graph.sumRows(graph.mul(gathered, graph.softMax(weighed)));
  const row = scope.rmsNorm(graph.cont(graph.permute(sum, 1, 0, 2, 3)), weight('norm'));
  const turned = graph.rope(row, inputs.writtenPositions);
  const result = inputs.rotation < 0 ? turned : rotate(scope, turned, inputs.rotation);
  const cache = scope.cache(layer, compressor === 'attn' ? 'compressed' : 'indexer');
  graph.expand(writeKeys(scope, cache, inputs.written, result));
  const keep = (kept: Tensor, fresh: Tensor): void => {
    const persisted = graph.getRows(fresh, inputs.keptFrom);
    graph.expand(graph.setRows(whole(kept), persisted, inputs.keptTo));
  };
  keep(valueState, values);
  keep(scoreState, scores);
}

/** `build_overlap_compressed_kv_from_state`: a row of zeros stands for what comes before the first. */
function overlappingRows(
  { graph }: GraphScope,
  { ratio, read, written }: CompressionInputs,
  source: Tensor,
  length: number,
): Tensor {
  const width = graph.ne(source, 0);
  const zeros = graph.reshape(graph.scale(graph.view1d(source, width)), width, 1);
  const rows = graph.getRows(graph.concat(source, zeros, 1), read);
  const blocks = graph.ne(written, 0);
  const half = (): Tensor => {
    const own = graph.cont(graph.view2d(rows, length, ratio * blocks, graph.nb(rows, 1)));
    return graph.reshape(own, length, ratio, blocks);
  };
  return graph.concat(half(), half(), 1);
}

/** The first rows of a layer's cache. */
export function compressedRows(
  scope: GraphScope,
  layer: number,
  kind: 'compressed' | 'indexer',
  count: number,
): Tensor {
  const { graph } = scope;
  const cache = scope.cache(layer, kind);
  const rows = cachedKeys(scope, cache, graph.ne(cache.key, 0), 1);
  return graph.view4d(
    rows,
    graph.ne(rows, 0),
    graph.ne(rows, 1),
    count,
    graph.ne(rows, 3),
    graph.nb(rows, 1),
    graph.nb(rows, 2),
    graph.nb(rows, 3),
  );
}
