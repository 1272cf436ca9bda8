import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import { MIX_NAMES, planSyntheticFile, shapeOf, tensorsOf, type ModelShape } from '../../src/model/index.ts';
import { SYNTHETIC_ARCHITECTURES } from '../../src/model/architectures/registry.ts';
import { fileTypeOf, type MixName } from '../../src/model/mixes.ts';
import { quantisationFacts, typesInMix } from '../../src/model/quantisation/types-in-mix.ts';
import { engineQuantiser } from './dry-run.ts';

const quantise = engineQuantiser();
const folder = mkdtempSync(path.join(tmpdir(), 'ridgepoint-quantise-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The mixes of llama-quantize; plain types are the converter's. */
const QUANTISED = MIX_NAMES.filter((mix) => !['F16', 'BF16', 'F32'].includes(mix));

/** A short vocabulary, since no rule asks about it and reading it takes most of the time. */
function withShortVocabulary(shape: ModelShape): ModelShape {
  return { ...shape, vocabularySize: 1024 };
}

const SHAPES = readModelRecords()
  .filter(({ architecture }) => SYNTHETIC_ARCHITECTURES.includes(architecture))
  .map((record) => withShortVocabulary(shapeOf(record)));

function shapeNamed(id: string): ModelShape {
  const found = SHAPES.find((shape) => shape.id === id);
  if (found === undefined) throw new Error(`no ${id}`);
  return found;
}

/** Tensors to which the engine gives another type than we do. */
function disagreements(shape: ModelShape, mixes: readonly MixName[], importanceMatrix: boolean): string[] {
  const plan = planSyntheticFile({ shape, mix: 'F32' });
  const file = path.join(folder, 'model.gguf');
  writeFileSync(file, plan.header);
  truncateSync(file, plan.fileBytes);
  const tensors = tensorsOf(shape, 'F32');
  return mixes.flatMap((mix) => {
    const theirs =
      quantise?.(file, { fileType: fileTypeOf(mix), importanceMatrix }) ?? new Map<string, string>();
    expect(theirs.size).toBe(tensors.length);
    const ours = typesInMix(tensors, mix, { ...quantisationFacts(shape, null), importanceMatrix });
    return tensors.flatMap(({ name }, index) => {
      // What is never quantised stays F32 in a file of F32, whatever type the converter would have given it.
      const expected = theirs.get(name) ?? 'missing';
      return expected === ours[index] || (expected === 'F32' && ours[index] === 'F16')
        ? []
        : [`${shape.id} ${mix} ${name}: ${ours[index]}, the engine ${expected}`];
    });
  });
}

describe.skipIf(quantise === null)('types of tensors', () => {
  it.each(['llama-2-7b', 'llama-3.3-70b', 'qwen2.5-0.5b', 'qwen3-30b-a3b', 'mixtral-8x7b', 'gpt-oss-20b'])(
    'of %s are those of llama-quantize in every mix, with an importance matrix and without',
    (id) => {
      const shape = shapeNamed(id);
      expect([...disagreements(shape, QUANTISED, false), ...disagreements(shape, QUANTISED, true)]).toEqual(
        [],
      );
    },
  );

  it('are those of llama-quantize in every architecture', () => {
    const seen = new Map<string, ModelShape>();
    for (const shape of SHAPES) if (!seen.has(shape.architecture)) seen.set(shape.architecture, shape);
    const wrong = [...seen.values()].flatMap((shape, index) => {
      // Each architecture in two mixes that everybody has, and in two more by turns.
      const turn = (step: number): MixName => QUANTISED[(2 * index + step) % QUANTISED.length] ?? 'Q4_0';
      return disagreements(shape, ['Q4_K_M', 'Q2_K', turn(0), turn(1)], false);
    });
    expect(wrong).toEqual([]);
    expect(seen.size).toBeGreaterThan(20);
  }, 60_000);
});
