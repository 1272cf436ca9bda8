import { InvalidArgumentError } from 'commander';

/** A list that llama-bench would not take either; the message says what is wrong with which text. */
export class IntegerListError extends Error {
  override readonly name = 'IntegerListError';
}

export interface IntegerListOptions {
  /** `-1` and the like are taken as the first number of a range (llama-bench: -ngl and -ncmoe alone). */
  readonly allowNegative?: boolean;
  /** The smallest value that makes sense for the option. */
  readonly minimum?: number;
}

/** More values than a sweep can measure in a day; a range such as `1-100000` is a mistake. */
const MAX_VALUES = 1000;
/** llama-bench keeps the values in an `int` of 32 bits. */
const MAX_VALUE = 2 ** 31 - 1;

/** One item, its end and the rest: the expression of llama-bench's `parse_int_range` (release v0.5.0). */
const ITEM = /^(?<first>\d+)(?:-(?<last>\d+)(?:(?<operator>[+*])(?<step>\d+))?)?(?:,|$)/;
const SIGNED_ITEM = /^(?<first>-?\d+)(?:-(?<last>\d+)(?:(?<operator>[+*])(?<step>\d+))?)?(?:,|$)/;

/**
 * Integers as llama-bench's flags take them: comma lists of `n`, `first-last`, `first-last+step` and
 * `first-last*multiplier`, both ends included. Duplicates stay, as they do there.
 * @throws IntegerListError also for what llama-bench passes over in silence: an empty text, and a range that ends
 *   before it begins.
 */
export function parseIntegerList(text: string, options: IntegerListOptions = {}): number[] {
  const pattern = options.allowNegative === true ? SIGNED_ITEM : ITEM;
  const values: number[] = [];
  let rest = text;
  while (rest !== '') {
    const match = pattern.exec(rest);
    const groups = match?.groups;
    if (match === null || groups === undefined) throw notAList(text);
    const first = integer(groups['first'] ?? '', text);
    const last = groups['last'] === undefined ? first : integer(groups['last'], text);
    const step = groups['step'] === undefined ? 1 : integer(groups['step'], text);
    appendRange(values, { first, last, step, multiply: groups['operator'] === '*' }, text);
    rest = rest.slice(match[0].length);
  }
  if (values.length === 0) throw notAList(text);
  const { minimum } = options;
  const small = minimum === undefined ? undefined : values.find((value) => value < minimum);
  if (small !== undefined) throw new IntegerListError(`'${text}' has ${small}; the least is ${minimum}.`);
  return values;
}

interface Range {
  readonly first: number;
  readonly last: number;
  readonly step: number;
  readonly multiply: boolean;
}

function appendRange(values: number[], { first, last, step, multiply }: Range, text: string): void {
  if (last < first) throw new IntegerListError(`The range in '${text}' ends before it begins.`);
  for (let value = first; value <= last;) {
    if (values.length === MAX_VALUES) {
      throw new IntegerListError(`'${text}' has more than ${MAX_VALUES} values; use a larger step.`);
    }
    values.push(value);
    const next = multiply ? value * step : value + step;
    if (next <= value) throw new IntegerListError(`The range in '${text}' does not grow; change its step.`);
    value = next;
  }
}

function integer(digits: string, text: string): number {
  const value = Number(digits);
  if (Math.abs(value) > MAX_VALUE) {
    throw new IntegerListError(
      `'${text}' has a number above ${MAX_VALUE}, the largest that llama.cpp takes.`,
    );
  }
  return value;
}

function notAList(text: string): IntegerListError {
  return new IntegerListError(
    `'${text}' is no list of integers; write 512, or 512,1024, or 128-512+128, or 128-2048*2.`,
  );
}

/** Turns what a pure parser throws into the argument parser's own error, which names the option. */
export function asArgument<Value>(text: string, parse: (text: string) => Value): Value {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof IntegerListError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
