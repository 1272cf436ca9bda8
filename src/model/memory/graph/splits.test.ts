import { describe, expect, it } from 'vitest';
import { OP, TYPE } from './operations.ts';
import { DEVICE, scheduleOnVulkan, type ScheduledGraph } from './splits.ts';
import { TensorGraph } from './tensor-graph.ts';
import { FLAG, PLACE } from './tensor-store.ts';

const UNLIMITED = Number.MAX_SAFE_INTEGER;
const TOKENS = 512;
/** Behind one device. */
const PROCESSOR = 1;

/** The operations of a schedule with the buffers of their results. */
function steps({
  graph,
  nodes,
  nodeBuffers,
}: ScheduledGraph): [op: number | undefined, buffer: number | undefined][] {
  return nodes.map((node, index) => [graph.op[node], nodeBuffers[index]]);
}

/** Embeddings from a table in the system's memory, and a product with a weight on the device. */
function smallGraph(): TensorGraph {
  const graph = new TensorGraph();
  const table = graph.stored(PLACE.hostWeights, TYPE.f16, 64, 1000);
  const weight = graph.stored(PLACE.deviceWeights, TYPE.f16, 64, 32);
  graph.expand(graph.mulMat(weight, graph.getRows(table, graph.input(TYPE.i32, TOKENS))));
  return graph;
}

describe('a graph between a Vulkan device and the processor', () => {
  it('looks up embeddings on the processor and copies them to the device', () => {
    // What the processor made is held until its copy is made; neither is an operation.
    expect(steps(scheduleOnVulkan(smallGraph(), UNLIMITED))).toEqual([
      [OP.getRows, PROCESSOR],
      [OP.none, PROCESSOR],
      [OP.none, DEVICE],
      [OP.mulMat, DEVICE],
    ]);
  });

  it('leaves to the processor what is larger than the device takes', () => {
    const graph = new TensorGraph();
    const weight = graph.stored(PLACE.deviceWeights, TYPE.f16, 64, 32);
    const input = graph.input(TYPE.f32, 64, TOKENS);
    const projected = graph.mulMat(weight, input);
    const repeated = graph.repeat4d(projected, 32, TOKENS, 64, 1);
    graph.expand(graph.sumRows(repeated));
    const largest = graph.bytes(input);
    const operations = steps(scheduleOnVulkan(graph, largest)).filter(([op]) => op !== OP.none);
    expect(operations).toEqual([
      [OP.mulMat, DEVICE],
      [OP.repeat, PROCESSOR],
      [OP.sumRows, PROCESSOR],
    ]);
  });

  it('lends the device a weight of the system for many rows', () => {
    const graph = new TensorGraph();
    const table = graph.stored(PLACE.hostWeights, TYPE.f16, 64, 1000);
    graph.expand(graph.mulMat(table, graph.input(TYPE.f32, 64, TOKENS)));
    const scheduled = scheduleOnVulkan(graph, UNLIMITED);
    expect(steps(scheduled).at(-1)).toEqual([OP.mulMat, DEVICE]);
    const product = scheduled.nodes.at(-1) ?? 0;
    const copy = graph.sourceOf(product, 0);
    expect(copy).not.toBe(table);
    expect(graph.bytes(copy)).toBe(graph.bytes(table));
  });

  it('computes what does not depend on each other together', () => {
    const graph = new TensorGraph();
    const weight = (): number => graph.stored(PLACE.deviceWeights, TYPE.f16, 64, 64);
    const normed = graph.mul(graph.rmsNorm(graph.input(TYPE.f32, 64, TOKENS)), weight());
    for (let index = 0; index < 3; index += 1) {
      graph.expand(
        graph.rope(
          graph.reshape(graph.mulMat(weight(), normed), 64, 1, TOKENS),
          graph.input(TYPE.i32, TOKENS),
        ),
      );
    }
    const order = steps(scheduleOnVulkan(graph, UNLIMITED)).map(([op]) => op);
    const computed = order.filter((op) => op !== OP.none && op !== OP.reshape);
    expect(computed).toEqual([
      OP.rmsNorm,
      OP.mul,
      OP.mulMat,
      OP.mulMat,
      OP.mulMat,
      OP.rope,
      OP.rope,
      OP.rope,
    ]);
  });
});

/** A product on each of two devices, the second of what the first made; both read the same positions. */
function dividedGraph(): TensorGraph {
  const graph = new TensorGraph();
  const positions = graph.input(TYPE.i32, TOKENS);
  let stream = graph.input(TYPE.f32, 64, TOKENS);
  for (const device of [0, 1]) {
    const weight = graph.stored(PLACE.deviceWeights, TYPE.f16, 64, 64);
    graph.device[weight] = device;
    const heads = graph.reshape(graph.mulMat(weight, stream), 64, 1, TOKENS);
    stream = graph.reshape(graph.rope(heads, positions), 64, TOKENS);
  }
  graph.expand(stream);
  return graph;
}

describe('a graph between two devices', () => {
  const divide = (pipelined: boolean): ScheduledGraph =>
    scheduleOnVulkan(dividedGraph(), UNLIMITED, { count: 2, pipelined });
  /** Behind two devices. */
  const processor = 2;

  it('computes what reads a weight where that lies, on copies of what lies elsewhere', () => {
    const operations = steps(divide(false)).filter(([op]) => op !== OP.none && op !== OP.reshape);
    expect(operations).toEqual([
      [OP.mulMat, 0],
      [OP.rope, 0],
      [OP.mulMat, 1],
      [OP.rope, 1],
    ]);
    const scheduled = divide(false);
    const copies = scheduled.nodes.flatMap((node, index) =>
      scheduled.copied.has(node) ? [scheduled.nodeBuffers[index]] : [],
    );
    // The tokens and the positions; then the stream and the positions again.
    expect(copies).toEqual([0, 0, 1, 1]);
    expect(scheduled.leafs).toHaveLength(4);
  });

  it('holds four of each copy and of each input where batches are worked on at once', () => {
    const { graph, leafs, leafBuffers } = divide(true);
    const kept = leafs.slice(0, -4);
    expect(kept.every((leaf) => ((graph.flags[leaf] ?? 0) & FLAG.output) !== 0)).toBe(true);
    const counts = [0, 1, processor].map(
      (buffer) => leafBuffers.slice(0, -4).filter((each) => each === buffer).length,
    );
    expect(counts).toEqual([8, 8, 8]);
  });
});
