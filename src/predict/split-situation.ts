import { seconds, tokensPerSecond } from '../units/index.ts';
import type { Configuration, HostShare } from './configuration.ts';
import { intervalCell } from './intervals.ts';
import { sendsWeights, trafficSeconds, type Traffic } from './offload.ts';
import type {
  CellWidths,
  Estimate,
  PredictedTerm,
  PredictedTest,
  Prediction,
  Situation,
} from './situation.ts';
import { expertsTouched } from './terms.ts';

/** The parts of a model that a GPU and its processor share, each as a situation of its own. */
export interface SplitParts {
  /** All of the model on the GPU: what computes when weights are sent to it. */
  readonly whole: Situation;
  readonly gpu: Situation;
  readonly host: Situation;
}

/**
 * No measurement of such a division is among those that the fit has seen, so that nothing corrects how its parts add
 * up: the interval of a new model on a new device is taken as much wider as two such uncertainties beside one another
 * are than one, by the root of two.
 */
export const OFFLOAD_WIDENING = Math.SQRT2;

/**
 * A model of which layers or experts stay with the processor. A token passes its layers one after the other, each at
 * the cost of the device that holds it. The products of a larger batch are all made on the GPU, which is sent the
 * weights that it lacks, each ubatch anew.
 */
export class SplitSituation {
  readonly configuration: Configuration;
  readonly #share: HostShare;
  readonly #parts: SplitParts;
  readonly #widths: CellWidths;

  constructor(configuration: Configuration, share: HostShare, parts: SplitParts, widths: CellWidths) {
    this.configuration = configuration;
    this.#share = share;
    this.#parts = parts;
    this.#widths = widths;
  }

  /** Predicts a speed. @param depth - tokens in the cache before the test. */
  estimate(test: PredictedTest, depth: number = this.configuration.depth): Estimate {
    const { terms: _, ...estimate } = this.predict(test, depth);
    return estimate;
  }

  /** Predicts a speed and says what it is made of. */
  predict(test: PredictedTest, depth: number = this.configuration.depth): Prediction {
    const { metric } = test;
    const { backend, ubatch } = this.configuration;
    const batch = test.metric === 'prompt' ? Math.min(test.tokens, ubatch) : (test.sequences ?? 1);
    const sends = test.metric === 'prompt' && sendsWeights(backend.family, batch);
    const { whole, gpu, host } = this.#parts;
    const tokens = test.metric === 'prompt' ? test.tokens : (test.sequences ?? 1);
    const onGpu = (sends ? whole : gpu).predict(test, depth);
    const onHost = sends ? null : host.predict(test, depth);
    const traffic = trafficSeconds(
      sends ? this.#sent(test.tokens, batch, depth) : this.#passed(tokens, batch),
      this.#share,
    );
    const terms: PredictedTerm[] = [
      ...onGpu.terms,
      // A pass begins once: its fixed cost is that of the GPU.
      ...(onHost?.terms ?? [])
        .filter(({ name }) => name !== 'fixed')
        .map((term): PredictedTerm => ({ ...term, on: 'host' })),
      {
        name: 'transfer',
        on: 'link',
        seconds: seconds(traffic.expected),
        roofSeconds: seconds(traffic.least),
      },
    ];
    const total = terms.reduce((sum, term) => sum + term.seconds, 0);
    const roof =
      tokens /
      (tokens / onGpu.roofTokensPerSecond +
        (onHost === null ? 0 : tokens / onHost.roofTokensPerSecond) +
        traffic.least);
    const widths = this.#widths[intervalCell(metric, depth, batch)];
    if (widths === null) {
      throw new RangeError(`The parameters have no interval for ${metric} at depth ${depth}.`);
    }
    const speed = tokens / total;
    return {
      tokensPerSecond: tokensPerSecond(speed),
      low: tokensPerSecond(speed * widths.down80),
      high: tokensPerSecond(Math.min(roof, speed * widths.up80)),
      low90: tokensPerSecond(speed * widths.down90),
      high90: tokensPerSecond(Math.min(roof, speed * widths.up90)),
      basis: 'physics',
      roofTokensPerSecond: tokensPerSecond(roof),
      seconds: seconds(total),
      terms,
    };
  }

  /** A prompt for which the GPU is sent the weights and the cache of the processor's layers with every ubatch. */
  #sent(tokens: number, batch: number, depth: number): Traffic {
    const { bytes, work, crossings, activationLength } = this.#share;
    const { keyBytes, valueBytes } = this.configuration;
    const passes = Math.ceil(tokens / batch);
    const touched =
      work.experts === null
        ? 0
        : expertsTouched(work.experts.count, work.experts.used, batch) / work.experts.count;
    let cacheBytes = 0;
    for (const { layers, window, compression, keyValues, valueValues } of work.attention) {
      const rows = (depth + tokens / 2) / compression;
      cacheBytes +=
        layers *
        (window === null ? rows : Math.min(rows, window + batch)) *
        (keyValues * keyBytes + valueValues * valueBytes);
    }
    return {
      weightBytes: passes * (bytes.dense + bytes.experts * touched + cacheBytes),
      crossings: crossings * passes,
      activations: batch * activationLength,
    };
  }

  /** Values that pass between the layers of GPU and processor. */
  #passed(tokens: number, batch: number): Traffic {
    const { crossings, activationLength } = this.#share;
    return {
      weightBytes: 0,
      crossings: crossings * Math.ceil(tokens / batch),
      activations: batch * activationLength,
    };
  }
}
