import { describe, expect, it } from 'vitest';
import { OP, TYPE } from './operations.ts';
import { DEVICE, scheduleOnVulkan, type ScheduledGraph } from './splits.ts';
import { TensorGraph } from './tensor-graph.ts';
import { PLACE } from './tensor-store.ts';

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
