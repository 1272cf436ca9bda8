/** A function of many variables with its gradient: writes the gradient, returns the value. */
export type Objective = (at: Float64Array, gradient: Float64Array) => number;

export interface MinimiseOptions {
  readonly iterations: number;
  /** Stops when a step gains less than this share of the value. */
  readonly tolerance: number;
}

/** Pairs of steps and gradient changes that are remembered (Nocedal and Wright, Numerical Optimization, chapter 7). */
const MEMORY = 12;
/** Sufficient decrease of a step, and how much a step shrinks that lacks it (Armijo, with backtracking). */
const ARMIJO = 1e-4;
const SHRINK = 0.5;
const MAX_SHRINKS = 25;

/** Minimises a smooth function from a starting point, by L-BFGS. Deterministic. */
export function minimise(objective: Objective, start: Float64Array, options: MinimiseOptions): Float64Array {
  const size = start.length;
  let at = start.slice();
  let gradient = new Float64Array(size);
  let value = objective(at, gradient);
  const steps: Float64Array[] = [];
  const changes: Float64Array[] = [];
  const curvatures: number[] = [];
  let small = 0;
  for (let iteration = 0; iteration < options.iterations; iteration += 1) {
    const direction = descend(gradient, steps, changes, curvatures);
    let slope = dot(direction, gradient);
    if (slope >= 0) {
      steps.length = changes.length = curvatures.length = 0;
      direction.set(gradient.map((each) => -each));
      slope = -dot(gradient, gradient);
    }
    let length = steps.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(gradient, gradient))) : 1;
    const next = new Float64Array(size);
    const nextGradient = new Float64Array(size);
    let nextValue = Number.POSITIVE_INFINITY;
    for (let shrink = 0; shrink < MAX_SHRINKS; shrink += 1) {
      for (let each = 0; each < size; each += 1)
        next[each] = (at[each] ?? 0) + length * (direction[each] ?? 0);
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + ARMIJO * length * slope) break;
      length *= SHRINK;
    }
    if (!(nextValue < value)) break;
    const step = new Float64Array(size);
    const change = new Float64Array(size);
    for (let each = 0; each < size; each += 1) {
      step[each] = (next[each] ?? 0) - (at[each] ?? 0);
      change[each] = (nextGradient[each] ?? 0) - (gradient[each] ?? 0);
    }
    const curvature = dot(step, change);
    if (curvature > 1e-12) {
      steps.push(step);
      changes.push(change);
      curvatures.push(curvature);
      if (steps.length > MEMORY) {
        steps.shift();
        changes.shift();
        curvatures.shift();
      }
    }
    small = value - nextValue < options.tolerance * Math.abs(value) ? small + 1 : 0;
    at = next;
    gradient = nextGradient;
    value = nextValue;
    if (small >= 3) break;
  }
  return at;
}

/** The two-loop recursion. */
function descend(
  gradient: Float64Array,
  steps: readonly Float64Array[],
  changes: readonly Float64Array[],
  curvatures: readonly number[],
): Float64Array {
  const direction = gradient.map((each) => -each);
  const weights: number[] = [];
  for (let index = steps.length - 1; index >= 0; index -= 1) {
    const step = steps[index] ?? direction;
    const weight = dot(step, direction) / (curvatures[index] ?? 1);
    weights[index] = weight;
    add(direction, changes[index] ?? direction, -weight);
  }
  const last = changes.at(-1);
  if (last !== undefined) {
    const scale = (curvatures.at(-1) ?? 1) / dot(last, last);
    for (let each = 0; each < direction.length; each += 1) direction[each] = (direction[each] ?? 0) * scale;
  }
  for (const [index, step] of steps.entries()) {
    const weight = dot(changes[index] ?? step, direction) / (curvatures[index] ?? 1);
    add(direction, step, (weights[index] ?? 0) - weight);
  }
  return direction;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let each = 0; each < a.length; each += 1) sum += (a[each] ?? 0) * (b[each] ?? 0);
  return sum;
}

function add(to: Float64Array, other: Float64Array, factor: number): void {
  for (let each = 0; each < to.length; each += 1) to[each] = (to[each] ?? 0) + factor * (other[each] ?? 0);
}
