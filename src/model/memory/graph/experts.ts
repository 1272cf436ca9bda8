import { isExpertLayer, type ExpertShape } from '../../shape.ts';
import type { GraphScope } from './graph-scope.ts';
import { activate, network, SHARED, type Activation } from './network.ts';
import { OP, UNARY } from './operations.ts';
import type { Tensor } from './tensor-store.ts';

/** How the scores of experts become weights (`llama_expert_gating_func_type`). */
export type Gating = 'softmax' | 'sigmoid' | 'softmax-of-chosen' | 'sqrt-softplus';

export interface ExpertRules {
  readonly gating: Gating;
  /** The weights of the chosen experts are made to sum to one (`norm_w`). */
  readonly normed: boolean;
  /** They are multiplied by a factor that is not one (`w_scale`). */
  readonly scaled: boolean;
  readonly activation?: Activation;
  /** The weights multiply what goes in, not what comes out (llama4). */
  readonly weighsInput?: boolean;
  /** Scores that the architecture computes itself. */
  readonly scores?: Tensor;
  /** Experts that the architecture chooses itself. */
  readonly chosen?: Tensor;
  /** What the experts read, where it is not what the router reads. */
  readonly bent?: (gate: Tensor, up: Tensor) => Tensor;
}

/** `build_moe_ffn`, src/llama-graph.cpp. */
export function mixtureOfExperts(
  scope: GraphScope,
  layer: number,
  input: Tensor,
  shape: ExpertShape,
  rules: ExpertRules,
): Tensor {
  const { graph } = scope;
  const { count, used } = shape;
  const width = graph.ne(input, 0);
  const tokens = graph.ne(input, 1);
  let scores = rules.scores ?? graph.mulMat(scope.of(layer, 'ffn_gate_inp.weight'), input);
  scores = scope.biased(layer, 'ffn_gate_inp', scores);
  const probabilities = gate(scope, scores, rules.gating);
  const chosen = rules.chosen ?? chooseExperts(scope, layer, scores, probabilities, shape, rules);
  let weights = graph.getRows(graph.reshape(probabilities, 1, count, tokens), chosen);
  if (rules.gating === 'softmax-of-chosen') {
    weights = graph.softMax(graph.reshape(weights, used, tokens));
    weights = graph.reshape(weights, 1, used, tokens);
  }
  if (rules.normed) {
    const flat = graph.reshape(weights, used, tokens);
    weights = graph.div(flat, graph.clamp(graph.sumRows(flat)));
    weights = graph.reshape(weights, 1, used, tokens);
  }
  if (rules.scaled) weights = graph.scale(weights);
  graph.expand(weights);
  let each = graph.reshape(input, width, 1, tokens);
  if (rules.weighsInput === true) each = graph.mul(graph.repeat4d(each, width, used, tokens, 1), weights);
  const hidden = expertNetwork(scope, layer, each, chosen, rules);
  let result = graph.mulMatId(scope.of(layer, 'ffn_down_exps.weight'), hidden, chosen);
  result = scaledById(scope, layer, 'ffn_down_exps', result, chosen);
  result = biasedById(scope, layer, 'ffn_down_exps', result, chosen);
  if (rules.weighsInput !== true) result = graph.mul(result, weights);
  graph.expand(result);
  return sumOfExperts(scope, result, used);
}

function gate({ graph }: GraphScope, scores: Tensor, gating: Gating): Tensor {
  if (gating === 'softmax') return graph.softMax(scores);
  if (gating === 'sigmoid') return graph.unary(scores, UNARY.sigmoid);
  if (gating === 'sqrt-softplus') return graph.sameLengths(OP.sqrt, graph.unary(scores, UNARY.softplus));
  return scores;
}

function chooseExperts(
  scope: GraphScope,
  layer: number,
  scores: Tensor,
  probabilities: Tensor,
  { count, used, groups }: ExpertShape,
  rules: ExpertRules,
): Tensor {
  const { graph } = scope;
  const tokens = graph.ne(scores, 1);
  const correction = scope.of(layer, 'exp_probs_b.bias');
  let selection = correction < 0 ? probabilities : graph.add(probabilities, correction);
  if (rules.weighsInput === true) selection = scores;
  if (groups !== null && groups.count > 1) {
    const size = count / groups.count;
    const grouped = graph.reshape(selection, size, groups.count, tokens);
    const best = graph.argsortTopK(grouped, 2);
    let sums = graph.getRows(graph.reshape(grouped, 1, size, groups.count, tokens), best);
    sums = graph.sumRows(graph.reshape(sums, 2, groups.count, tokens));
    sums = graph.reshape(sums, groups.count, tokens);
    const bestGroups = graph.argsortTopK(sums, groups.used);
    const kept = graph.getRows(grouped, bestGroups);
    selection = graph.setRows(graph.fill(grouped), kept, bestGroups);
    selection = graph.reshape(selection, count, tokens);
  }
  return graph.argsortTopK(selection, used);
}

function expertNetwork(
  scope: GraphScope,
  layer: number,
  input: Tensor,
  chosen: Tensor,
  { activation = 'silu', bent }: ExpertRules,
): Tensor {
  const { graph } = scope;
  const both = scope.of(layer, 'ffn_gate_up_exps.weight');
  if (both >= 0) {
    const rows = biasedById(scope, layer, 'ffn_gate_up_exps', graph.mulMatId(both, input, chosen), chosen);
    const half = (): Tensor =>
      graph.view3d(
        rows,
        graph.ne(rows, 0) / 2,
        graph.ne(rows, 1),
        graph.ne(rows, 2),
        graph.nb(rows, 1),
        graph.nb(rows, 2),
      );
    return graph.gluSplit(half(), half());
  }
  const product = (name: string): Tensor =>
    biasedById(scope, layer, name, graph.mulMatId(scope.weightOf(layer, name), input, chosen), chosen);
  const up = product('ffn_up_exps');
  if (scope.of(layer, 'ffn_gate_exps.weight') < 0) return activate(graph, up, -1, activation);
  const gated = product('ffn_gate_exps');
  return bent === undefined ? activate(graph, gated, up, activation) : bent(gated, up);
}

function biasedById(scope: GraphScope, layer: number, name: string, a: Tensor, chosen: Tensor): Tensor {
  const bias = scope.biasOf(layer, name);
  return bias < 0 ? a : scope.graph.addId(a, bias, chosen);
}

/** `build_lora_mm_id` with a scale for each expert. */
function scaledById(scope: GraphScope, layer: number, name: string, a: Tensor, chosen: Tensor): Tensor {
  const { graph } = scope;
  const scale = scope.of(layer, `${name}.scale`);
  if (scale < 0) return a;
  const count = graph.ne(scale, 0);
  const repeated = graph.repeat4d(graph.reshape(scale, 1, count), 1, count, graph.ne(a, 2), 1);
  return graph.mul(a, graph.getRows(repeated, chosen));
}

/** The sum of the experts' results: views of all, then one after the other. */
function sumOfExperts({ graph }: GraphScope, result: Tensor, used: number): Tensor {
  const parts: Tensor[] = [];
  for (let index = 0; index < used; index += 1) {
    const part = graph.view2d(result, graph.ne(result, 0), graph.ne(result, 2), graph.nb(result, 2));
    graph.expand(part);
    parts.push(part);
  }
  const [first = result, ...others] = parts;
  if (others.length === 0) return graph.cont(first);
  return others.reduce((sum, part) => {
    const next = graph.add(sum, part);
    graph.expand(next);
    return next;
  }, first);
}

/** Experts that a sigmoid chooses, beside the shared one; in layers without experts the dense network. */
export function sigmoidExpertsOrNetwork(scope: GraphScope, layer: number, normed: Tensor): Tensor {
  const { experts } = scope.shape;
  if (experts === null || !isExpertLayer(scope.shape, layer)) return network(scope, layer, normed);
  const routed = mixtureOfExperts(scope, layer, normed, experts, {
    gating: 'sigmoid',
    normed: true,
    scaled: false,
  });
  return scope.graph.add(routed, network(scope, layer, normed, 'silu', SHARED));
}
