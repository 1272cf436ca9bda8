import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readModelRecords, readSources } from './host/index.ts';

describe('the catalogue of models', () => {
  it('names for every record a source that is listed', () => {
    const sources = new Set(readSources().map((source) => source.id));
    const records = readModelRecords();
    expect(records.length).toBeGreaterThanOrEqual(29);
    for (const record of records) {
      expect(sources, record.id).toContain(record.source.id);
      for (const published of record.publishedParameters)
        expect(sources, record.id).toContain(published.source);
    }
  });

  it('lists no source that no record uses', () => {
    const used = new Set(
      readModelRecords().flatMap((record) => [
        record.source.id,
        ...record.publishedParameters.map((published) => published.source),
      ]),
    );
    expect(readSources().filter((source) => !used.has(source.id))).toEqual([]);
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
