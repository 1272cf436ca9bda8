import { OP, type Operation } from './operations.ts';

/**
 * Sequences that become one operation and are kept together (ggml/src/ggml-vulkan/ggml-vulkan-types.h), in the order in
 * which they are looked for. Those that route to experts also keep what they read until their result is there.
 */
export const ROUTING_PATTERNS: readonly (readonly Operation[])[] = [
  [
    OP.softMax,
    OP.reshape,
    OP.argsort,
    OP.view,
    OP.getRows,
    OP.reshape,
    OP.sumRows,
    OP.clamp,
    OP.div,
    OP.reshape,
  ],
  [
    OP.unary,
    OP.reshape,
    OP.add,
    OP.argsort,
    OP.view,
    OP.getRows,
    OP.reshape,
    OP.sumRows,
    OP.clamp,
    OP.div,
    OP.reshape,
  ],
  [
    OP.unary,
    OP.sqrt,
    OP.reshape,
    OP.add,
    OP.argsort,
    OP.view,
    OP.getRows,
    OP.reshape,
    OP.sumRows,
    OP.clamp,
    OP.div,
    OP.reshape,
  ],
  [OP.softMax, OP.reshape, OP.argsort, OP.view, OP.getRows],
  [OP.argsort, OP.view, OP.getRows, OP.reshape, OP.softMax, OP.reshape],
];
const OTHER_PATTERNS: readonly (readonly Operation[])[] = [
  [OP.rmsNorm, OP.mul, OP.add, OP.mul],
  [OP.rmsNorm, OP.mul, OP.add],
  [OP.rmsNorm, OP.mul, OP.rope, OP.view, OP.setRows],
  [OP.rmsNorm, OP.view, OP.setRows],
  [OP.rope, OP.view, OP.setRows],
];
export const PATTERNS: readonly (readonly Operation[])[] = [...ROUTING_PATTERNS, ...OTHER_PATTERNS];

/** By operation: the patterns that begin with it, by their places in {@link PATTERNS}. */
export const PATTERNS_FROM: readonly (readonly number[])[] = Object.values(OP).map((op) =>
  PATTERNS.flatMap((pattern, place) => (pattern[0] === op ? [place] : [])),
);
