import type { GraphScope } from '../graph-scope.ts';
import { OP, UNARY } from '../operations.ts';
import type { Tensor } from '../tensor-store.ts';

/** A stream mixed from copies, and how its update is spread over them again. */
export interface MixedStream {
  readonly stream: Tensor;
  readonly spread: Tensor;
  readonly mixing: Tensor;
}

/** The copies of the residual stream that DeepSeek V4 mixes: src/models/deepseek4.cpp. */
export class StreamCopies {
  readonly #scope: GraphScope;
  readonly #count: number;

  constructor(scope: GraphScope, count: number) {
    this.#scope = scope;
    this.#count = count;
  }

  /** `build_hc_pre`, with its fused operations. */
  read(copies: Tensor, layer: number, part: 'attn' | 'ffn'): MixedStream {
    const { graph, shape, tokens } = this.#scope;
    const weight = (name: string): Tensor => this.#scope.of(layer, `hc_${part}_${name}.weight`);
    const mixes = this.#mixes(copies, weight('fn'));
    const [scale, base] = [weight('scale'), weight('base')];
    const share = (): Tensor => {
      const rows = graph.view2d(mixes, this.#count, tokens, graph.nb(mixes, 1));
      return this.#gate(rows, graph.view1d(scale, 1), graph.view1d(base, this.#count));
    };
    const before = graph.scale(share());
    const spread = graph.scale(share());
    const mixing = graph.operation(
      OP.combineCopies,
      [this.#count, this.#count, tokens],
      [mixes, scale, base],
    );
    const stream = graph.operation(OP.mixCopies, [shape.embeddingLength, tokens], [copies, before]);
    return { stream, spread, mixing };
  }

  /** `build_hc_post`. */
  write(update: Tensor, copies: Tensor, { spread, mixing }: MixedStream): Tensor {
    const { graph, shape, tokens } = this.#scope;
    return graph.operation(
      OP.spreadCopies,
      [shape.embeddingLength, this.#count, tokens],
      [update, copies, spread, mixing],
    );
  }

  /** `build_hc_head`, which is not fused. */
  readLast(copies: Tensor): Tensor {
    const { graph, shape, tokens } = this.#scope;
    const weight = (name: string): Tensor => this.#scope.weight(`output_hc_${name}.weight`);
    const mixes = this.#mixes(copies, weight('fn'));
    const shares = graph.scale(this.#gate(mixes, weight('scale'), weight('base')));
    let result = -1;
    for (let copy = 0; copy < this.#count; copy += 1) {
      const own = graph.view2d(copies, shape.embeddingLength, tokens, graph.nb(copies, 2));
      const part = graph.mul(own, graph.view2d(shares, 1, tokens, graph.nb(shares, 1)));
      result = result < 0 ? part : graph.add(result, part);
    }
    return result;
  }

  #mixes(copies: Tensor, weight: Tensor): Tensor {
    const { graph, shape, tokens } = this.#scope;
    const flat = graph.reshape(copies, this.#count * shape.embeddingLength, tokens);
    return graph.mulMat(weight, graph.rmsNorm(flat));
  }

  #gate(a: Tensor, scale: Tensor, base: Tensor): Tensor {
    const { graph } = this.#scope;
    return graph.unary(graph.add(graph.mul(a, scale), base), UNARY.sigmoid);
  }
}
