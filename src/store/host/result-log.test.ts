import { appendFile, mkdir, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { exampleRecord, failedWith } from '../../../test/fixtures/measurement-record.ts';
import { encodeLine } from '../result-line.ts';
import { openResultLog } from './result-log.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-log-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});
const logPath = (): string => path.join(folder, 'new', 'results.jsonl');

const first = exampleRecord({ id: 'first' });
const second = exampleRecord({ id: 'second', ...failedWith('gpu-hang', 'Es hängt: “ja”.') });
const third = exampleRecord({ id: 'third' });

describe('the result log', () => {
  test('is empty before the first record', async () => {
    expect(await openResultLog(logPath()).readAll()).toEqual({ records: [], damaged: [] });
  });

  test('returns the records in the order of their writing, and creates its folder', async () => {
    const log = openResultLog(logPath());
    for (const record of [first, second, third]) await log.append(record);
    expect(await log.readAll()).toEqual({ records: [first, second, third], damaged: [] });
  });

  test('keeps every line whole when several writers append at once', async () => {
    const records = Array.from({ length: 40 }, (_, index) => exampleRecord({ id: `record-${index}` }));
    await Promise.all(records.map(async (record) => openResultLog(logPath()).append(record)));
    const { records: read, damaged } = await openResultLog(logPath()).readAll();
    expect(damaged).toEqual([]);
    expect(new Set(read.map((record) => record.id)).size).toBe(40);
  });

  // Some thousand readings of the file, one for each of its bytes.
  test('loses only the torn line, whatever byte it was torn at', { timeout: 60_000 }, async () => {
    const lines = [first, second, third].map((record) => Buffer.from(encodeLine(record)));
    const whole = Buffer.concat(lines);
    const file = path.join(folder, 'torn.jsonl');
    const log = openResultLog(file);
    await writeFile(file, whole);
    for (let length = whole.length; length >= 0; length -= 1) {
      await truncate(file, length);
      const { records, damaged } = await log.readAll();
      // A line without its newline is whole when only the newline is missing.
      const ends = lines.map((_, index) => Buffer.concat(lines.slice(0, index + 1)).length);
      const kept = ends.filter((end) => length >= end - 1).length;
      expect(records.length).toBe(kept);
      const tornBytes = length - (ends[kept - 1] ?? 0);
      expect(damaged.map(({ line }) => line)).toEqual(tornBytes > 0 ? [kept + 1] : []);
    }
  });

  test('keeps every record that is appended after a tear', async () => {
    const line = encodeLine(second);
    for (const length of [1, 2, Math.floor(line.length / 2), line.length - 2, line.length - 1]) {
      const file = path.join(folder, `after-${length}.jsonl`);
      await writeFile(file, encodeLine(first));
      await appendFile(file, Buffer.from(line).subarray(0, length));
      const log = openResultLog(file);
      await log.append(third);
      const { records } = await log.readAll();
      expect(records.map((record) => record.id)).toContain('first');
      expect(records.at(-1)).toEqual(third);
    }
  });

  test('reports foreign and newer lines by number, and leaves the file as it is', async () => {
    const file = path.join(folder, 'foreign.jsonl');
    const newer = JSON.stringify({ ...first, schemaVersion: 2 });
    await writeFile(file, `# a comment\n${encodeLine(first)}{"schemaVersion":1}\n\n${newer}\n`);
    await appendFile(file, Buffer.from([0xff, 0xfe, 0x0a]));
    const before = await readFile(file);
    const { records, damaged } = await openResultLog(file).readAll();
    expect(records).toEqual([first]);
    expect(damaged).toEqual([
      { line: 1, reason: expect.stringMatching(/not whole JSON/) },
      { line: 3, reason: expect.stringMatching(/not a measurement record: id/) },
      { line: 5, reason: expect.stringMatching(/newer ridgepoint \(schema version 2; this one reads 1\)/) },
      { line: 6, reason: 'not UTF-8 text' },
    ]);
    expect(await readFile(file)).toEqual(before);
  });

  test('reads a line separator inside a text as part of the line', async () => {
    const odd = exampleRecord({ warnings: ['one\u2028two\r'] });
    const log = openResultLog(logPath());
    await log.append(odd);
    expect(await log.readAll()).toEqual({ records: [odd], damaged: [] });
  });

  test('reports a line without end and goes on behind it', async () => {
    const file = path.join(folder, 'long.jsonl');
    await writeFile(file, `${'x'.repeat(17 * 2 ** 20)}\n${encodeLine(first)}`);
    const { records, damaged } = await openResultLog(file).readAll();
    expect(records).toEqual([first]);
    expect(damaged).toEqual([{ line: 1, reason: expect.stringMatching(/longer than the 16 MiB/) }]);
  });

  test('refuses a log of more than 1 GB in one sentence, for reading and for writing', async () => {
    const file = path.join(folder, 'huge.jsonl');
    await writeFile(file, '');
    await truncate(file, 1e9 + 1);
    const log = openResultLog(file);
    await expect(log.readAll()).rejects.toMatchObject({ code: 'too-large' });
    await expect(log.append(first)).rejects.toThrow(/would exceed 1 GB: move it away/);
    expect((await stat(file)).size).toBe(1e9 + 1);
  });

  test('names the file that cannot be written or read', async () => {
    const directory = path.join(folder, 'results.jsonl');
    await mkdir(directory);
    const log = openResultLog(directory);
    await expect(log.append(first)).rejects.toMatchObject({ code: 'not-writable' });
    await expect(log.append(first)).rejects.toThrow(`could not be added to ${directory}`);
    await expect(log.readAll()).rejects.toMatchObject({ code: 'not-readable' });
  });

  test.runIf(process.platform === 'linux')('says that the disk is full when it is', async () => {
    await expect(openResultLog('/dev/full').append(first)).rejects.toMatchObject({
      code: 'no-space',
      message: expect.stringMatching(/disk is full: free some space/),
    });
  });
});
