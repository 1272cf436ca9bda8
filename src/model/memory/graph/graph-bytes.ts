import type { ModelShape } from '../../shape.ts';
import type { ModelTensor } from '../../tensors.ts';
import type { ComputeBackend } from '../compute-backends.ts';
import type { ResolvedContext } from '../settings.ts';
import { plansFor } from './context-plans.ts';
import { ON_ONE_DEVICE, type GraphScope } from './graph-scope.ts';
import { decoder, DECODERS } from './models/decoder.ts';
import { deepseek2 } from './models/deepseek2.ts';
import { gemma3n, gemma4 } from './models/gemma-per-layer.ts';
import { deepSeek4 } from './models/deepseek4.ts';
import { falconH1, graniteHybrid, jamba, nemotronH, qwenHybrid } from './models/hybrid.ts';
import { indexedDecoder } from './models/indexed.ts';
import { kimiK3, kimiLinear } from './models/kimi.ts';
import { lfm2 } from './models/lfm2.ts';
import { minimaxM3 } from './models/minimax-m3.ts';
import { rwkv7 } from './models/rwkv7.ts';

type GraphBuilder = (scope: GraphScope, layers: readonly number[]) => void;

/** Architectures that are no decoder of {@link DECODERS}. */
const BUILDERS: Readonly<Record<string, GraphBuilder>> = {
  deepseek2,
  deepseek32: indexedDecoder,
  deepseek4: deepSeek4,
  'falcon-h1': falconH1,
  gemma3n,
  gemma4,
  'glm-dsa': indexedDecoder,
  granitehybrid: graniteHybrid,
  jamba,
  'kimi-k3': kimiK3,
  'kimi-linear': kimiLinear,
  lfm2,
  lfm2moe: lfm2,
  mamba: jamba,
  'minimax-m3': minimaxM3,
  nemotron_h: nemotronH,
  nemotron_h_moe: nemotronH,
  qwen35: qwenHybrid,
  qwen35moe: qwenHybrid,
  qwen3next: qwenHybrid,
  rwkv7,
};

/** Whether the graph of this architecture is known node by node. */
export const hasGraph = (architecture: string): boolean =>
  DECODERS[architecture] !== undefined || BUILDERS[architecture] !== undefined;

/** Builds the graph of a full ubatch. @param layers - of the model, in their order: all, or some of each kind. */
export function buildGraph(scope: GraphScope, layers: readonly number[]): void {
  const builder = BUILDERS[scope.shape.architecture];
  if (builder !== undefined) {
    builder(scope, layers);
    return;
  }
  const rules = DECODERS[scope.shape.architecture];
  if (rules === undefined) throw new RangeError(`the graph of ${scope.shape.architecture} is not known`);
  decoder(scope, rules, layers);
}

/** The bytes of the compute buffers, of each GPU and of the system's memory. */
export function graphBytes(
  shape: ModelShape,
  tensors: readonly ModelTensor[],
  context: ResolvedContext,
  backend: ComputeBackend,
  placement = ON_ONE_DEVICE,
): { readonly devices: readonly number[]; readonly host: number } {
  const all = plansFor(shape, tensors, context, backend, buildGraph, placement).bytes(context);
  const { count } = placement.devices;
  return { devices: all.slice(0, count), host: backend.isProcessor ? 0 : (all[count] ?? 0) };
}
