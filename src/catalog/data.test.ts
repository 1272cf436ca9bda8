import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { ModelRecord } from './index.ts';
import {
  readDeviceRecords,
  readMachineRecords,
  readModelRecords,
  readPublishedPowerLevels,
  readPublishedReadings,
  readSources,
} from './host/index.ts';

describe('the catalogue of models', () => {
  const sourcesOf = (record: ModelRecord): string[] => [
    record.source.id,
    ...record.publishedParameters.map((published) => published.source),
  ];

  it('has every model that is measured by default', () => {
    const ids = readModelRecords().map((record) => record.id);
    expect(ids).toEqual(expect.arrayContaining(['llama-3.1-8b', 'qwen3-30b-a3b', 'gpt-oss-120b']));
    expect(ids.length).toBeGreaterThanOrEqual(220);
  });

  it('names only sources that are listed, and lists only sources that are named', () => {
    const devices = readDeviceRecords();
    const named = new Set([
      ...readModelRecords().flatMap(sourcesOf),
      ...devices.flatMap((device) => [
        ...[...device.sources, ...device.architecture.sources].map(({ id }) => id),
        ...[...device.statedPeaks, ...device.memory.stated, ...device.otherClaims].map(
          ({ source }) => source,
        ),
      ]),
      ...readMachineRecords().flatMap((machine) => [
        ...[...machine.sources, ...machine.prices.map(({ source }) => source)].map(({ id }) => id),
        ...(machine.power === null ? [] : [machine.power.source.id]),
      ]),
      ...[...readPublishedReadings(), ...readPublishedPowerLevels()].map(({ source }) => source.id),
    ]);
    const listed = readSources().map((source) => source.id);
    expect([...named].sort()).toEqual(listed.sort());
  });

  it('flags as inferred, or as read elsewhere, only fields that a record has', () => {
    const has = (record: ModelRecord, field: string): boolean => {
      const value = field
        .split('.')
        .reduce<unknown>(
          (whole, key) =>
            typeof whole === 'object' && whole !== null
              ? Object.entries(whole).find(([name]) => name === key)?.[1]
              : undefined,
          record,
        );
      return value !== undefined;
    };
    const absent = readModelRecords().flatMap((record) =>
      [...(record.inferredFields ?? []), ...record.otherSources.flatMap(({ fields }) => fields)]
        // 'shape' is said of works that confirm the record as a whole.
        .filter((field) => field !== 'shape' && !has(record, field))
        .map((field) => `${record.id}: ${field}`),
    );
    expect(absent).toEqual([]);
  });

  it('says which file and which field are wrong', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-catalog-'));
    try {
      await writeFile(path.join(folder, 'bad.json'), '{"schemaVersion":1,"models":[{"id":"x"}]}');
      expect(() => readModelRecords(pathToFileURL(`${folder}/`))).toThrow(/bad\.json is not valid[^]*layers/);
      await writeFile(path.join(folder, 'bad.json'), '{');
      expect(() => readModelRecords(pathToFileURL(`${folder}/`))).toThrow(/bad\.json cannot be read as JSON/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
