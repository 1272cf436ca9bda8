import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { recordingContext, type RecordingContext } from '../../test/fixtures/recording-context.ts';
import { tinyShape } from '../../test/fixtures/tiny-shapes.ts';
import { resolveModelName } from '../catalog/index.ts';
import { writeSynthetic } from '../model/host/index.ts';
import { MIX_NAMES, parameterCount, shapeOf } from '../model/index.ts';
import { addModel, removeModel } from './add-model.ts';
import { knownModels, knownModelsNaming } from './known-models.ts';

let folder = '';
let recording = recordingContext();
const fresh = (): RecordingContext =>
  recordingContext({ data: path.join(folder, 'data'), config: folder, cache: folder });
const context = (): RecordingContext => recording;

/** Published keys of GLM-4.5-Air, as in the fixture that the shapes of configurations are tested with. */
async function glmConfig(): Promise<object> {
  const fixture = new URL('../../test/fixtures/hugging-face-configs.json', import.meta.url);
  const configs = JSON.parse(await readFile(fixture, 'utf8')) as readonly {
    readonly id: string;
    readonly config: object;
  }[];
  const found = configs.find(({ id }) => id === 'glm-4.5-air');
  if (found === undefined) throw new Error('the fixture has no glm-4.5-air');
  return found.config;
}

describe('ridgepoint models add', () => {
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-models-'));
    recording = fresh();
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('makes a config.json known to every command under the name that was wished', async () => {
    const file = path.join(folder, 'config.json');
    await writeFile(file, JSON.stringify(await glmConfig()));
    recording = fresh();
    expect(await addModel(file, { id: 'my-glm' }, context())).toBe(0);
    expect(recording.printed.join()).toMatch(/^my-glm was written to .*my-glm\.json/);
    const { record } = resolveModelName('My-GLM:Q4_K_M', knownModels(context()), MIX_NAMES);
    expect(record.organisation).toBe('own');
    expect(parameterCount(shapeOf(record))).toBe(106_852_251_264);
    expect(knownModelsNaming('my-glm', context()).map(({ id }) => id)).toContain('my-glm');
  });

  it('makes a GGUF file known under its own name', async () => {
    const file = path.join(folder, 'Tiny_MoE-Q4_0.gguf');
    const shape = tinyShape('qwen3moe');
    await writeSynthetic({ shape, mix: 'Q4_0', path: file });
    await addModel(file, {}, context());
    const record = knownModels(context()).find(({ id }) => id === 'tiny-moe-q4-0');
    if (record === undefined) throw new Error('the file was not added');
    expect({ ...shapeOf(record), id: shape.id }).toMatchObject({
      kvHeads: shape.kvHeads,
      experts: shape.experts,
      vocabularySize: shape.vocabularySize,
    });
    expect(record.publishedParameters[0]?.count).toBe(parameterCount(shape));
  });

  it('says that it replaces another model of the user', async () => {
    const file = path.join(folder, 'config.json');
    recording = fresh();
    await addModel(file, { id: 'twice' }, context());
    expect(recording.err).toEqual([]);
    await addModel(file, { id: 'twice' }, context());
    expect(recording.err.join()).toMatch(
      /^It replaces the model of yours that had this name, from .*config\.json/,
    );
  });

  it('lets a model of the user take the place of the one of the catalogue with the same name', async () => {
    const file = path.join(folder, 'config.json');
    const organisations = (): string[] =>
      knownModels(context())
        .filter(({ id }) => id === 'qwen3-0.6b')
        .map(({ organisation }) => organisation);
    recording = fresh();
    await addModel(file, { id: 'qwen3-0.6b' }, context());
    expect(organisations()).toEqual(['own']);
    expect(recording.printed[1]).toMatch(
      /takes the place of qwen3-0\.6b of the catalogue .* models remove qwen3-0\.6b$/,
    );
    recording = fresh();
    await removeModel('qwen3-0.6b', context());
    expect(recording.printed).toEqual([
      'qwen3-0.6b was removed. qwen3-0.6b of the catalogue is known again.',
    ]);
    expect(organisations()).toEqual(['Alibaba']);
    await expect(removeModel('qwen3-0.6b', context())).rejects.toThrow(/is a model of the catalogue/);
    await expect(removeModel('../config', context())).rejects.toThrow(/You added no model/);
  });

  it('fetches the config.json of a repository, by its name, its page or its address', async () => {
    const asked: string[] = [];
    const config = JSON.stringify(await glmConfig());
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      const known = request.url === '/zai-org/GLM-4.5-Air/resolve/main/config.json';
      response.writeHead(known ? 200 : 404).end(known ? config : 'Entry not found');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the server has no port');
    const endpoint = `http://127.0.0.1:${address.port}`;
    vi.stubEnv('HF_ENDPOINT', endpoint);
    try {
      for (const source of [
        'zai-org/GLM-4.5-Air',
        `${endpoint}/zai-org/GLM-4.5-Air`,
        `${endpoint}/zai-org/GLM-4.5-Air/blob/main/config.json`,
        `${endpoint}/zai-org/GLM-4.5-Air/resolve/main/config.json`,
      ]) {
        recording = fresh();
        await addModel(source, {}, context());
        expect(recording.printed.join()).toMatch(/^glm-4\.5-air was written/);
      }
      expect(asked).toEqual(Array<string>(4).fill('/zai-org/GLM-4.5-Air/resolve/main/config.json'));
      await expect(addModel('zai-org/None', {}, context())).rejects.toThrow(/zai-org\/None.*config\.json/);
    } finally {
      vi.unstubAllEnvs();
      server.close();
    }
  });

  it('says in one sentence what it cannot read', async () => {
    const text = path.join(folder, 'notes.txt');
    await writeFile(text, 'no model');
    await expect(addModel(text, {}, context())).rejects.toThrow(/notes\.txt is neither a GGUF file nor JSON/);
    await expect(addModel(folder, {}, context())).rejects.toThrow(/is not a file; give the config\.json/);
    await expect(addModel(path.join(folder, 'x'), {}, context())).rejects.toThrow(/There is no file/);
    await expect(addModel('https://', {}, context())).rejects.toThrow(/https:\/\/ is no address/);
    await expect(addModel(text, { id: 'Bad Name' }, context())).rejects.toThrow(
      /'Bad Name' cannot be the id/,
    );
    const deep = path.join(folder, 'deep.json');
    await writeFile(deep, JSON.stringify({ ...(await glmConfig()), num_hidden_layers: 1e9 }));
    await expect(addModel(deep, {}, context())).rejects.toThrow(
      /deep cannot be kept as a model: layers: .*512/,
    );
    await writeFile(deep, JSON.stringify({ ...(await glmConfig()), num_hidden_layers: -46 }));
    await expect(addModel(deep, {}, context())).rejects.toThrow(/num_hidden_layers -46, .* above 0/);
  });
});
