import type { ModelShape } from '../../shape.ts';
import type { ModelTensor } from '../../tensors.ts';
import type { ComputeBackend } from '../compute-buffers.ts';
import { representativeLayers } from '../representative-layers.ts';
import type { ResolvedContext } from '../settings.ts';
import { GraphScope, indexWeights } from './graph-scope.ts';
import { layOut } from './layout.ts';
import { decoder, DECODERS } from './models/decoder.ts';
import { scheduleOnProcessor, scheduleOnVulkan } from './splits.ts';

/** Whether the graph of this architecture is known node by node. */
export const hasGraph = (architecture: string): boolean => DECODERS[architecture] !== undefined;

/** Builds the graph of a full ubatch. @param layers - of the model, in their order: all, or some of each kind. */
export function buildGraph(scope: GraphScope, layers: readonly number[]): void {
  const rules = DECODERS[scope.shape.architecture];
  if (rules === undefined) throw new RangeError(`the graph of ${scope.shape.architecture} is not known`);
  decoder(scope, rules, layers);
}

/** The bytes of both compute buffers. */
export function graphBytes(
  shape: ModelShape,
  tensors: readonly ModelTensor[],
  context: ResolvedContext,
  backend: ComputeBackend,
): { readonly device: number; readonly host: number } {
  const scope = new GraphScope(shape, context, indexWeights(tensors), backend.maxTensorBytes);
  buildGraph(scope, representativeLayers(shape));
  const scheduled = backend.isProcessor
    ? scheduleOnProcessor(scope.graph)
    : scheduleOnVulkan(scope.graph, backend.maxTensorBytes);
  const [device = 0, host = 0] = layOut(scheduled, [backend.device, backend.host]);
  return { device, host: backend.isProcessor ? 0 : host };
}
