import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig, writeConfig } from './config.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-config-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const paths = (name: string) => {
  const config = path.join(folder, name);
  return { data: config, config, cache: config };
};

describe('the configuration', () => {
  it('is empty before anything was chosen, and is read back as it was written', async () => {
    const places = paths('fresh');
    expect(await readConfig(places)).toEqual({ schemaVersion: 1 });
    const file = await writeConfig({ schemaVersion: 1, device: 'nvidia-rtx-4090' }, places);
    expect(file).toBe(path.join(places.config, 'config.json'));
    expect(await readConfig(places)).toEqual({ schemaVersion: 1, device: 'nvidia-rtx-4090' });
  });

  it.each(['{', '{"schemaVersion":2}', '{"schemaVersion":1,"device":7}'])(
    'is refused with the name of its file when it holds %s',
    async (text) => {
      const places = { data: folder, config: folder, cache: folder };
      await writeFile(path.join(folder, 'config.json'), text);
      await expect(readConfig(places)).rejects.toThrow(/config\.json is not valid.*repair or remove it/s);
    },
  );
});
