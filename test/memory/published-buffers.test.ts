import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import {
  COMPUTE_BACKENDS,
  DEFAULT_CONTEXT,
  isMixName,
  kvCaches,
  memoryOf,
  ON_DEVICE,
  recurrentLayers,
  resolveContext,
  shapeOf,
  tensorsOf,
  type KvCacheType,
  type MemoryKind,
  type ModelShape,
} from '../../src/model/index.ts';
import { MIB } from '../../src/units/index.ts';

/**
 * What llama.cpp printed on other people's machines, with the log that each line is from. `kv-caches.csv` has single
 * caches, `buffers.csv` the sums of a run; a quantisation is given where its tensors follow from the rules of a mix.
 * `whole-caches.csv` has what the fork ik_llama.cpp says of all layers on all devices together.
 */
function readFixture(name: string): Readonly<Record<string, string>>[] {
  const [head = '', ...lines] = readFileSync(new URL(`../fixtures/memory/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n');
  const columns = head.split(',');
  return lines.map((line) => {
    const values = line.split(',');
    return Object.fromEntries(columns.map((column, index) => [column, values[index] ?? '']));
  });
}

const shapes = new Map(readModelRecords().map((record) => [record.id, shapeOf(record)]));

function shapeNamed(id: string | undefined): ModelShape {
  const shape = shapes.get(id ?? '');
  if (shape === undefined) throw new Error(`the catalogue has no ${id}`);
  return shape;
}

const CACHE_TYPES: Readonly<Record<string, KvCacheType>> = {
  f16: 'F16',
  q8_0: 'Q8_0',
  q4_0: 'Q4_0',
  iq4_nl: 'IQ4_NL',
};
/** Logs have hundredths of a MiB. */
const hundredths = (bytes: number): number => Math.round((bytes / MIB) * 100) / 100;

describe('KV caches that llama.cpp logged', () => {
  const rows = readFixture('kv-caches.csv');

  it('are 46', () => {
    expect(rows).toHaveLength(46);
  });

  it.each(rows.filter(({ kind }) => kind === 'kv'))(
    'hold $cells cells of $model in $layers layers, $streams streams, $type_k',
    (row) => {
      const shape = shapeNamed(row['model']);
      const streams = Number(row['streams']);
      const isWindow = shape.slidingWindow !== null && Number(row['cells']) < 4096;
      const context = resolveContext({
        ...DEFAULT_CONTEXT,
        contextTokens: isWindow ? 4096 : Number(row['cells']) * streams,
        sequences: Number(row['sequences']),
        cacheTypeK: CACHE_TYPES[row['type_k'] ?? ''] ?? 'F16',
        cacheTypeV: CACHE_TYPES[row['type_v'] ?? ''] ?? 'F16',
      });
      const cache = kvCaches(shape, context).find(
        ({ cells, layers }) => cells === Number(row['cells']) && layers.length === Number(row['layers']),
      );
      const sum = (key: 'keyBytes' | 'valueBytes'): number =>
        hundredths(cache?.layers.reduce((total, layer) => total + layer[key], 0) ?? Number.NaN);
      expect([sum('keyBytes'), sum('valueBytes')]).toEqual([Number(row['k_mib']), Number(row['v_mib'])]);
    },
  );

  it.each(rows.filter(({ kind }) => kind === 'recurrent'))(
    'have the states of $sequences sequences of $model beside them',
    (row) => {
      const context = resolveContext({
        ...DEFAULT_CONTEXT,
        contextTokens: 4096,
        sequences: Number(row['sequences']),
      });
      const states = recurrentLayers(shapeNamed(row['model']), context);
      const total = states.reduce((sum, layer) => sum + layer.bytes, 0) / MIB;
      expect(Math.abs(total - Number(row['k_mib']) - Number(row['v_mib']))).toBeLessThan(0.011);
    },
  );
});

describe('whole caches that ik_llama.cpp logged', () => {
  const rows = readFixture('whole-caches.csv');

  it.each(rows)('hold $context_tokens tokens of $model in $type_k and $type_v $exception', (row) => {
    const context = resolveContext({
      ...DEFAULT_CONTEXT,
      contextTokens: Number(row['context_tokens']),
      cacheTypeK: CACHE_TYPES[row['type_k'] ?? ''] ?? 'F16',
      cacheTypeV: CACHE_TYPES[row['type_v'] ?? ''] ?? 'F16',
    });
    const ours = kvCaches(shapeNamed(row['model']), context)
      .flatMap(({ layers }) => layers)
      .reduce((sum, { keyBytes, valueBytes }) => sum + keyBytes + valueBytes, 0);
    // The last digit of a log is rounded, half of it to the even one.
    const isMet = Math.abs(ours / MIB - Number(row['kv_mib'])) < 0.0051;
    expect(isMet).toBe(row['exception'] === '');
  });

  it('are of more logs than are excepted', () => {
    const logs = (isException: boolean): number =>
      rows
        .filter(({ exception }) => (exception !== '') === isException)
        .reduce((sum, row) => sum + Number(row['logs']), 0);
    expect([logs(false), logs(true)]).toEqual([37, 8]);
  });
});

describe('buffers that llama.cpp logged', () => {
  it.each(readFixture('buffers.csv'))('of $model with $context_tokens tokens ($source)', (row) => {
    const shape = shapeNamed(row['model']);
    const mix = row['quantisation'] ?? '';
    const breakdown = memoryOf(
      { shape, tensors: tensorsOf(shape, isMixName(mix) ? mix : 'Q4_K_M') },
      {
        ...DEFAULT_CONTEXT,
        contextTokens: Number(row['context_tokens']),
        ubatchTokens: Number(row['ubatch_tokens']),
      },
      ON_DEVICE,
      COMPUTE_BACKENDS.vulkan,
    );
    if ('unsupported' in breakdown) throw new Error(breakdown.unsupported);
    const line = (kind: MemoryKind): { device: number; host: number } => {
      const found = breakdown.lines.find((each) => each.kind === kind);
      return {
        device: (found?.deviceBytes ?? Number.NaN) / MIB,
        host: (found?.hostBytes ?? Number.NaN) / MIB,
      };
    };
    expect(line('kv-cache').device).toBe(Number(row['kv_mib']));
    expect(hundredths(line('recurrent-state').device * MIB)).toBe(Number(row['recurrent_mib']));
    expect(hundredths(line('output').host * MIB)).toBe(Number(row['output_mib']));
    const weights = isMixName(mix)
      ? { device: Number(row['model_device_mib']), host: Number(row['model_host_mib']) }
      : line('weights');
    expect(Math.abs(line('weights').device / weights.device - 1)).toBeLessThanOrEqual(0.005);
    expect(Math.abs(line('weights').host / weights.host - 1)).toBeLessThanOrEqual(0.005);
  });
});
