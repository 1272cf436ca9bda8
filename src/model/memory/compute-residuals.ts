import { FLOAT, type ComputeGraph } from './compute-graph.ts';
import type { NodeId } from './graph-allocator.ts';

/** Layers after which Kimi K3 banks its residual stream (`attn_res.block_size` of the published model). */
const BANK_PERIOD = 12;

/** Whether an architecture reads the streams of earlier layers as well (src/models/kimi-k3.cpp, `res_mix`). */
export const banksResiduals = (architecture: string): boolean => architecture === 'kimi-k3';

/** The residual streams that are kept for all later layers, in one tensor that grows. */
export class ResidualBank {
  readonly #graph: ComputeGraph;
  readonly #width: number;
  #streams = 0;
  #bank: NodeId | null = null;

  constructor(graph: ComputeGraph, width: number) {
    this.#graph = graph;
    this.#width = width;
  }

  /** Banks the input of every twelfth layer. */
  isDue(layer: number): boolean {
    return layer % BANK_PERIOD === 0;
  }

  push(stream: NodeId): void {
    this.#streams += 1;
    const bank = this.#bank;
    // Joined when they are first read, which is ahead of what makes the stream that they are mixed with.
    this.#bank =
      bank === null ? stream : this.#graph.ahead(() => this.#graph.tensor(this.#bytes(), [bank, stream]));
  }

  /** The stream mixed with the banked ones by their scores. */
  mix(stream: NodeId): NodeId {
    const graph = this.#graph;
    const bank = this.#bank;
    if (bank === null) return stream;
    const scores = graph.ahead(() => graph.row(this.#streams, [graph.tensor(this.#bytes(), [bank])]));
    const own = graph.row(1, [graph.row(this.#width, [stream])]);
    const weights = graph.row(this.#streams + 1, [scores, own]);
    const mixed = graph.row(this.#width, [bank, graph.row(this.#streams, [weights])]);
    return graph.inPlace([mixed], [graph.row(this.#width, [stream, weights])]);
  }

  #bytes(): number {
    return this.#streams * this.#width * this.#graph.tokens * FLOAT;
  }
}
