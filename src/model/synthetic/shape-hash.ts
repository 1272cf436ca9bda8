import type { SyntheticModel } from './file-plan.ts';
import { allLayers } from '../tensors.ts';

/** Raised whenever the bytes of a synthetic file change for the same model; old files in the cache are then unused. */
const GENERATOR_VERSION = 2;

/** Hex digits that are kept: 64 bits, far more than the files that one cache will ever hold. */
const HASH_DIGITS = 16;

/**
 * A stable name for the content of a synthetic file: the first 16 hex digits of the SHA-256 of the generator's version
 * and of the model's shape, mix and layers as JSON with sorted keys. The id is left out: two models of one shape are
 * one shape.
 * @param sha256Hex - lower-case hex SHA-256 of a text in UTF-8.
 */
export function shapeHash(model: SyntheticModel, sha256Hex: (text: string) => string): string {
  const { id: _, ...shape } = model.shape;
  const layers = model.layers ?? allLayers(model.shape);
  const text = canonicalJson({ generatorVersion: GENERATOR_VERSION, shape, mix: model.mix, layers });
  return sha256Hex(text).slice(0, HASH_DIGITS);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}
