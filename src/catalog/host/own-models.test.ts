import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readModelRecords, readOwnModels, removeOwnModel, writeOwnModel } from './index.ts';

let folder = '';
const [record] = readModelRecords();
if (record === undefined) throw new Error('the catalogue is empty');

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-own-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('writing a model of the user', () => {
  it('gives back the same record', async () => {
    await writeOwnModel(folder, record);
    expect(readOwnModels(folder)).toEqual([record]);
  });

  it('says in a sentence that its folder cannot be written', async () => {
    const file = path.join(folder, 'file');
    await writeFile(file, '');
    await expect(writeOwnModel(path.join(file, 'models'), record)).rejects.toMatchObject({
      name: 'CatalogDataError',
      message: `${path.join(file, 'models', `${record.id}.json`)} cannot be written: ENOTDIR; choose a data folder that you may write to.`,
    });
  });

  it('leaves nothing unfinished behind', async () => {
    await mkdir(path.join(folder, `${record.id}.json`));
    await expect(writeOwnModel(folder, record)).rejects.toThrow('cannot be written');
    expect(await readdir(folder)).toEqual([`${record.id}.json`]);
  });
});

describe('a file of the user that is broken', () => {
  it('is named, with what to do, and can be removed', async () => {
    const file = path.join(folder, 'broken.json');
    await writeFile(file, '{');
    expect(() => readOwnModels(folder)).toThrow(
      `A model that you added cannot be read: ${file} cannot be read as JSON.\nMend that file, or delete it`,
    );
    expect(await removeOwnModel(folder, 'broken')).toBe(true);
    expect(readOwnModels(folder)).toEqual([]);
  });

  it('is never one of another folder', async () => {
    const inner = path.join(folder, 'models');
    await mkdir(inner);
    await writeFile(path.join(folder, 'other.json'), '{}');
    expect(await removeOwnModel(inner, '../other')).toBe(false);
    expect(await readdir(folder)).toContain('other.json');
  });
});
