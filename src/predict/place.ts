import { logCost, startingPoints } from './cost.ts';
import { shiftedBy } from './calibrate.ts';
import type { Calibration } from './calibration.ts';
import type { Configuration } from './configuration.ts';
import {
  scopesOf,
  TERM_NAMES,
  visitRules,
  visitTerms,
  type AspectRule,
  type Metric,
  type Scopes,
} from './effects.ts';
import type { Parameters } from './parameters.ts';

/** What one aspect of a test adds to the sums of effects at a place, in the order in which it is added. */
interface Contributions {
  readonly terms: readonly number[];
  readonly values: readonly number[];
}

/** What the terms of tests of one kind cost at a place. */
interface Costs {
  /** Sums of effects before the roof bounds them, without a calibration. */
  readonly sums: Float64Array;
  /** The time of each term as a multiple of its time at the roof, with the calibration if there is one. */
  readonly factors: readonly number[];
}

/** Kinds of tests whose costs a place keeps: more than the catalogue has, and bounded. */
const MOST_KEPT = 10_000;

const STARTS: Readonly<Record<Metric, Float64Array>> = {
  generation: startingPoints('generation', TERM_NAMES.generation),
  prompt: startingPoints('prompt', TERM_NAMES.prompt),
};

/**
 * A device with a backend, and what the terms cost there. The costs depend on the kind of the test alone, neither on
 * its depth nor on the size of the model, so that they are summed once for each kind and kept.
 */
export class Place {
  readonly calibration: Calibration | null;
  /** Whether the fit has seen the device with this family of backends. */
  readonly isKnown: boolean;
  readonly #effects: Parameters['effects'];
  readonly #scopes: Scopes;
  readonly #contributions = byMetric(() => new Map<AspectRule, Map<string, Contributions>>());
  readonly #kept = byMetric(() => new Map<string, Costs>());

  constructor(
    configuration: Configuration,
    effects: Parameters['effects'],
    isKnown: boolean,
    calibration: Calibration | null,
  ) {
    this.#scopes = scopesOf(configuration);
    this.#effects = effects;
    this.isKnown = isKnown;
    this.calibration = calibration;
  }

  /**
   * The costs of a test at this place.
   * @param tokens - of the prompt; 0 for generation.
   */
  costs(configuration: Configuration, metric: Metric, tokens: number): Costs {
    const { engine, day, work, quantisation, flashAttention, ubatch } = configuration;
    const kind = `${work.latent ? 'l' : ''}${work.recurrent ? 'r' : ''}`;
    const key = `${work.architecture} ${kind} ${quantisation.name} ${flashAttention} ${Math.min(ubatch, tokens)} ${engine} ${day}`;
    const kept = this.#kept[metric];
    const known = kept.get(key);
    if (known !== undefined) return known;
    const sums = this.#sum(configuration, metric, tokens);
    const shifts =
      this.calibration === null ? null : shiftedBy(metric, this.calibration[metric], configuration);
    const factors = Array.from(sums, (sum, term) =>
      Math.exp(logCost(TERM_NAMES[metric][term] ?? '', sum + (shifts?.[term] ?? 0))),
    );
    const made = { sums, factors };
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(key, made);
    return made;
  }

  #sum(configuration: Configuration, metric: Metric, tokens: number): Float64Array {
    const sums = STARTS[metric].slice();
    visitRules(configuration, metric, tokens, (rule, aspect) => {
      const { terms, values } = this.#contributionsOf(rule, aspect, metric);
      for (let each = 0; each < terms.length; each += 1) {
        const term = terms[each] ?? 0;
        sums[term] = (sums[term] ?? 0) + (values[each] ?? 0);
      }
    });
    return sums;
  }

  #contributionsOf(rule: AspectRule, aspect: string, metric: Metric): Contributions {
    let ofRule = this.#contributions[metric].get(rule);
    if (ofRule === undefined) {
      ofRule = new Map();
      this.#contributions[metric].set(rule, ofRule);
    }
    const known = ofRule.get(aspect);
    if (known !== undefined) return known;
    const terms: number[] = [];
    const values: number[] = [];
    visitTerms(rule, metric, (term, group, levels) => {
      const byScope = this.#effects[metric][group]?.[aspect];
      if (byScope === undefined) return;
      for (const [level] of levels) {
        const value = byScope[this.#scopes[level]];
        if (value === undefined) continue;
        terms.push(term);
        values.push(value);
      }
    });
    const made = { terms, values };
    ofRule.set(aspect, made);
    return made;
  }
}

function byMetric<Value>(make: () => Value): Readonly<Record<Metric, Value>> {
  return { generation: make(), prompt: make() };
}
