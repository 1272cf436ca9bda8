import type { GraphScope } from '../graph-scope.ts';
import type { Tensor } from '../tensor-store.ts';

/** The last norm and the head; callers may read both. */
export function finish(scope: GraphScope, stream: Tensor): void {
  const { graph } = scope;
  const normed = scope.rmsNorm(stream, scope.weight('output_norm.weight'));
  graph.setOutput(normed);
  const logits = graph.mulMat(scope.head(), normed);
  graph.setOutput(logits);
  graph.expand(logits);
}
