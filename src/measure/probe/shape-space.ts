/** One matrix product: weights of `rows` x `columns` (M x K) times `batch` activations (N). */
export interface Shape {
  readonly rows: number;
  readonly batch: number;
  readonly columns: number;
}

/** Values of one axis, ascending. */
export interface ShapeSpace {
  readonly rows: readonly number[];
  readonly batch: readonly number[];
  readonly columns: readonly number[];
}

/** `start, stop, step` as mamf-finder takes them: the stop is left out, and a start of 0 is the first step. */
export interface AxisRange {
  readonly start: number;
  readonly stop: number;
  readonly step: number;
}

/** More shapes than a machine could be asked for in a lifetime; a longer axis is a slip of the keyboard. */
export const MAX_AXIS_VALUES = 1024;

/** The values of a range; an empty list when there are none. */
export function axisValues({ start, stop, step }: AxisRange): number[] {
  const values: number[] = [];
  const first = start === 0 ? step : start;
  for (let value = first; value < stop && values.length <= MAX_AXIS_VALUES; value += step) values.push(value);
  return values;
}

/** Every shape of the space, rows outermost, the columns running fastest. */
export function shapesOf({ rows, batch, columns }: ShapeSpace): Shape[] {
  return rows.flatMap((m) => batch.flatMap((n) => columns.map((k) => ({ rows: m, batch: n, columns: k }))));
}

export const spaceSize = ({ rows, batch, columns }: ShapeSpace): number =>
  rows.length * batch.length * columns.length;

/** Operations of a product; a multiplication with its addition counts as two. */
export const operationsOf = ({ rows, batch, columns }: Shape): number => 2 * rows * batch * columns;

/** `4096x512x4096`, as mamf-finder writes a shape: M x N x K. */
export const shapeLabel = ({ rows, batch, columns }: Shape): string => `${rows}x${batch}x${columns}`;
