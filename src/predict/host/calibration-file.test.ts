import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Calibration } from '../calibration.ts';
import type { OwnDevice } from '../own-device.ts';
import { CalibrationFileError, readCalibrationFile, writeCalibration } from './calibration-file.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-calibration-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const calibration = (deviceId: string, backend: string, points: number): Calibration => ({
  deviceId,
  backend,
  measuredAt: '2026-11-21T08:08:14Z',
  points,
  generation: { whole: 0.1 },
  prompt: { 'format four-k': 0.2 },
});
const own: OwnDevice = {
  id: 'own-amd-epyc',
  name: 'AMD EPYC',
  backend: 'cpu',
  unit: 'cpu',
  vendor: 'amd',
  integrated: false,
  memoryBytes: null,
  measuredAt: '2026-11-21T08:08:14Z',
  fastestBytesPerSecond: 51.7e9,
  fastestFlopPerSecond: 412e9,
  types: [{ type: 'Q4_K', flopPerSecond: 296e9, bytesPerSecond: 41.3e9 }],
};

describe('the file of calibrations', () => {
  it('is empty before the first, and needs no folder', () => {
    expect(readCalibrationFile(path.join(folder, 'nowhere', 'calibration.json')).calibrations).toEqual([]);
  });

  it('keeps one of each device and backend, and devices of no catalogue beside', async () => {
    const file = path.join(folder, 'new', 'calibration.json');
    await writeCalibration(file, calibration('own-amd-epyc', 'cpu', 6), own);
    await writeCalibration(file, calibration('nvidia-rtx-3090', 'cuda', 6), null);
    await writeCalibration(file, calibration('own-amd-epyc', 'cpu', 4), { ...own, memoryBytes: 1e9 });
    const { calibrations, devices } = readCalibrationFile(file);
    expect(calibrations.map(({ deviceId, points }) => [deviceId, points])).toEqual([
      ['nvidia-rtx-3090', 6],
      ['own-amd-epyc', 4],
    ]);
    expect(devices).toEqual([{ ...own, memoryBytes: 1e9 }]);
  });

  it.each(['{"schemaVersion":2,"calibra', '{"schemaVersion":2,"calibrations":[{"deviceId":""}]}'])(
    'says what to do about one that is damaged: %s',
    async (content) => {
      const file = path.join(folder, 'damaged.json');
      await writeFile(file, content);
      expect(() => readCalibrationFile(file)).toThrow(CalibrationFileError);
      expect(() => readCalibrationFile(file)).toThrow(/remove it and run ridgepoint calibrate again/);
      await expect(writeCalibration(file, calibration('a', 'cpu', 1), null)).rejects.toThrow(/remove it/);
      expect(await readFile(file, 'utf8')).toBe(content);
    },
  );

  it('leaves nothing half-written where it cannot be written', async () => {
    const blocked = path.join(folder, 'a-file');
    await writeFile(blocked, '');
    const file = path.join(blocked, 'calibration.json');
    await expect(writeCalibration(file, calibration('a', 'cpu', 1), null)).rejects.toThrow(
      /could not be written to .*the measurements are kept/,
    );
    expect((await readdir(folder)).filter((name) => name.includes('calibration.json'))).toEqual([]);
  });
});
