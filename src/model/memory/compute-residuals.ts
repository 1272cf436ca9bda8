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
    this.#bank = this.#bank === null ? stream : this.#graph.tensor(this.#bytes(), [this.#bank, stream]);
  }

  /** The stream mixed with the banked ones by their scores. */
  mix(stream: NodeId): NodeId {
    if (this.#bank === null) return stream;
    const scored = this.#graph.tensor(this.#bytes(), [this.#bank]);
    const own = this.#graph.row(this.#width, [stream]);
    const weights = this.#graph.row(this.#streams + 1, [scored, own]);
    const mixed = this.#graph.row(this.#width, [this.#bank, weights]);
    return this.#graph.inPlace([mixed], [this.#graph.row(this.#width, [stream, weights])]);
  }

  #bytes(): number {
    return this.#streams * this.#width * this.#graph.tokens * FLOAT;
  }
}
