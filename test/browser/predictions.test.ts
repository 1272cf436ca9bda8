import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import { predictTable } from '../../bench/prediction-table.ts';
import { readDeviceRecords, readModelRecords } from '../../src/catalog/host/index.ts';
import { readParameters } from '../../src/predict/host/index.ts';
import { bundle } from './bundle.ts';

const ENTRY = path.resolve(import.meta.dirname, '../../bench/prediction-table.ts');
const DEPTHS = [0, 16_384];

/** Runs a script where there is nothing but ECMAScript: no module, no process, no name of Node or of a page. */
function runAlone(script: string, data: unknown): unknown {
  const context: Record<string, unknown> = { data: JSON.stringify(data) };
  vm.createContext(context);
  const text: unknown = vm.runInContext(script, context, { timeout: 60_000 });
  return JSON.parse(String(text));
}

describe('predictions in a page', () => {
  it('need no module and no global of Node, and are those of Node to the last bit', () => {
    const data = {
      devices: readDeviceRecords().filter((_, index) => index % 9 === 0),
      models: readModelRecords(),
      parameters: readParameters(),
    };
    const page = runAlone(
      `JSON.stringify(${bundle(ENTRY)}.predictTable(JSON.parse(data), ${JSON.stringify(DEPTHS)}))`,
      data,
    );
    const here = predictTable(data, DEPTHS);
    expect(here.devices).toBeGreaterThan(30);
    expect(here.speeds.filter((speed) => speed !== null && speed > 0).length).toBeGreaterThan(
      1.5 * here.devices * here.models * DEPTHS.length,
    );
    expect(page).toEqual(here);
  });

  it('run in a context that has no process, no require and no clock of Node', () => {
    expect(runAlone('JSON.stringify([typeof process, typeof require, typeof performance])', null)).toEqual([
      'undefined',
      'undefined',
      'undefined',
    ]);
  });

  it('cannot be bundled with a module of Node', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-bundle-'));
    try {
      const file = path.join(folder, 'entry.ts');
      await writeFile(file, "import { readFileSync } from 'node:fs';\nexport const read = readFileSync;\n");
      expect(() => bundle(file)).toThrow(/imports node:fs, which a page does not have/);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
