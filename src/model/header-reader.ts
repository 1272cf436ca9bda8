import type { GgufHeader } from './gguf/parse-header.ts';

/** A header that does not say what the shape of a model needs; the message is one sentence for the user. */
export class HeaderShapeError extends Error {
  override readonly name = 'HeaderShapeError';
}

/** The most layers that llama.cpp loads (`LLAMA_MAX_LAYERS`, src/llama-hparams.h, release v0.5.0). */
const MAX_LAYERS = 512;

/** Typed look-ups in a header, by keys without the architecture's prefix. */
export class HeaderReader {
  readonly architecture: string;
  /** Of the trunk: without those that predict further tokens. */
  readonly layers: number;
  readonly mtpLayers: number;
  readonly #header: GgufHeader;
  readonly #label: string;
  readonly #tensors: ReadonlyMap<string, readonly number[]>;

  /**
   * @param label - how errors name the file.
   * @throws HeaderShapeError when the header is not that of a language model.
   */
  constructor(header: GgufHeader, label: string) {
    this.#header = header;
    this.#label = label;
    this.#tensors = new Map(header.tensors.map(({ name, dims }) => [name, dims]));
    const architecture = header.metadata.get('general.architecture');
    if (typeof architecture !== 'string') {
      throw new HeaderShapeError(`${label} does not say of which architecture its model is.`);
    }
    this.architecture = architecture;
    this.mtpLayers = this.number('nextn_predict_layers') ?? 0;
    this.layers = this.required('block_count') - this.mtpLayers;
    if (!Number.isInteger(this.layers) || this.layers < 1 || this.layers > MAX_LAYERS) {
      throw new HeaderShapeError(
        `${label} has ${this.layers} layers, and llama.cpp loads 1 to ${MAX_LAYERS}; it is damaged.`,
      );
    }
  }

  number(key: string): number | undefined {
    const value = this.#header.metadata.get(`${this.architecture}.${key}`);
    return typeof value === 'number' ? value : undefined;
  }

  /** A number that is not 0, which headers write for what a model does not have. */
  positive(key: string): number | undefined {
    const value = this.number(key);
    return value !== undefined && value > 0 ? value : undefined;
  }

  required(key: string): number {
    const value = this.number(key);
    if (value !== undefined) return value;
    throw new HeaderShapeError(
      `${this.#label} has no number ${this.architecture}.${key}, which a model of its architecture needs.`,
    );
  }

  text(key: string): string | undefined {
    const value = this.#header.metadata.get(`${this.architecture}.${key}`);
    return typeof value === 'string' ? value : undefined;
  }

  /** A list of numbers or truth values, cut to the layers of the trunk. */
  list(key: string): number[] | undefined {
    const value = this.#header.metadata.get(`${this.architecture}.${key}`);
    if (typeof value !== 'object' || value.items === null || value.length < this.layers) return undefined;
    return value.items.slice(0, this.layers).map(Number);
  }

  /** A number, or a list of one for each layer; a list whose values are all alike is one number. */
  perLayer(key: string): number | number[] | undefined {
    const list = this.list(key);
    if (list === undefined) return this.number(key);
    const [first] = list;
    return first !== undefined && list.every((value) => value === first) ? first : list;
  }

  /** How many texts a list of the whole file has. */
  lengthOf(key: string): number | undefined {
    const value = this.#header.metadata.get(key);
    return typeof value === 'object' ? value.length : undefined;
  }

  hasTensor(name: string): boolean {
    return this.#tensors.has(name);
  }

  dimension(tensor: string, index: number): number | undefined {
    return this.#tensors.get(tensor)?.[index];
  }

  /** The layers of the trunk that have a tensor of this name. */
  layersWith(name: string): number[] {
    return Array.from({ length: this.layers }, (_, layer) => layer).filter((layer) =>
      this.hasTensor(`blk.${layer}.${name}`),
    );
  }
}
