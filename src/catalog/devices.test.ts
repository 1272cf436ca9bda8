import { describe, expect, it } from 'vitest';
import { bytes } from '../units/index.ts';
import {
  bandwidthOf,
  bandwidthsOf,
  derivePeaks,
  findDevice,
  latestPrice,
  peakOf,
  precisionSupport,
  referenceRange,
  resolveDevice,
  resolveMachine,
} from './index.ts';
import type { CatalogDevice } from './index.ts';
import {
  findDeviceRecord,
  readDeviceRecords,
  readMachineRecords,
  readPublishedReadings,
} from './host/index.ts';

const devices = readDeviceRecords();
const machines = readMachineRecords();

/** How far a stated figure may lie from the derived one: rounding in data sheets stays below it. */
const TOLERANCE = 0.02;

function device(id: string): CatalogDevice {
  return resolveDevice(id, devices).device;
}

function tera(value: number | undefined): number {
  return Number(((value ?? Number.NaN) / 1e12).toFixed(3));
}

describe('the catalogue of devices', () => {
  it('has at least 150 devices and 30 machines, and every machine is built around a device that it has', () => {
    expect(devices.length).toBeGreaterThanOrEqual(150);
    expect(machines.length).toBeGreaterThanOrEqual(30);
    const ids = new Set(devices.map(({ id }) => id));
    expect(machines.filter((machine) => !ids.has(machine.device))).toEqual([]);
  });

  it('takes the price of a whole machine that was seen last', () => {
    const price = latestPrice(resolveMachine('framework-desktop-395-128', machines));
    expect(price).toMatchObject({ usd: 3449, date: '2026-08', for: 'machine' });
    const announced = machines.find(({ prices }) => prices.length === 0);
    expect(announced && latestPrice(announced)).toBeNull();
  });

  it('has a source for every price and power, and nothing of a machine but its memory without one', () => {
    const withoutSource = machines.filter(
      ({ sources, prices, power }) => sources.length === 0 && prices.length === 0 && power === null,
    );
    const unfounded = withoutSource.filter(({ device: id, memoryBytes, network }) => {
      const { capacityBytes } = device(id).memory;
      const follows =
        memoryBytes === null || capacityBytes.length === 0 || capacityBytes.includes(memoryBytes);
      return network.length > 0 || !follows;
    });
    expect(unfounded.map(({ id }) => id)).toEqual([]);
    expect(withoutSource.length).toBeLessThan(15);
  });

  it('derives every bandwidth that a source states within 2 %, or gives the reason for the difference', () => {
    const stated = devices.flatMap((record) =>
      record.memory.stated.flatMap((figure) => {
        const derived = bandwidthsOf(record).filter((bandwidth) => bandwidth.basis === 'derived');
        if (derived.length === 0) return [];
        const agrees = derived.some(
          ({ bytesPerSecond }) => Math.abs(bytesPerSecond / figure.bandwidthBytesPerSecond - 1) <= TOLERANCE,
        );
        return [{ id: record.id, figure, agrees }];
      }),
    );
    expect(stated.length).toBeGreaterThan(200);
    expect(stated.filter(({ figure, agrees }) => agrees === (figure.differs !== undefined))).toEqual([]);
  });

  it('derives every peak that a source states within 2 %, or gives the reason for the difference', () => {
    const compared = devices.flatMap((record) =>
      record.statedPeaks.flatMap((figure) => {
        const derived = derivePeaks(record).find(
          (peak) =>
            peak.dataType === figure.dataType &&
            peak.accumulate === figure.accumulate &&
            peak.on === figure.on,
        );
        if (derived === undefined) return [];
        const agrees = Math.abs(derived.flopPerSecond / figure.flopPerSecond - 1) <= TOLERANCE;
        return [{ id: record.id, figure, agrees, derived: derived.flopPerSecond }];
      }),
    );
    expect(compared.length).toBeGreaterThan(300);
    expect(compared.filter(({ figure, agrees }) => agrees === (figure.differs !== undefined))).toEqual([]);
  });

  it('keeps both figures where sources disagree, and says why', () => {
    const gb10 = device('nvidia-dgx-spark-gb10');
    expect(bandwidthOf(gb10)?.bytesPerSecond).toBeCloseTo(273.056e9, -6);
    const announced = gb10.memory.stated.find(
      ({ bandwidthBytesPerSecond }) => bandwidthBytesPerSecond === 301e9,
    );
    expect(announced?.differs).toMatch(/9400 MT\/s/);
  });
});

describe('the peaks of a device', () => {
  it('are units x operations x clock: 40 x 512 x 2.9 GHz are 59.392 TFLOP/s', () => {
    const peak = peakOf(device('amd-ryzen-ai-max-395'), 'fp16');
    expect(tera(peak?.flopPerSecond)).toBe(59.392);
    expect(peak).toMatchObject({
      basis: 'derived',
      units: 40,
      operationsPerClockPerUnit: 512,
      clockHz: 2.9e9,
      condition: 'wmma-or-dual-issue',
      otherwiseFlopPerSecond: 29.696e12,
    });
  });

  it('follow the units and the clock of the smaller variant: 32 x 512 x 2.8 GHz are 46 TFLOP/s, 23 of which are 50 %', () => {
    const peak = peakOf(device('amd-ryzen-ai-max-390'), 'fp16');
    expect(tera(peak?.flopPerSecond)).toBe(45.875);
    expect(Math.round((23e12 / (peak?.flopPerSecond ?? 0)) * 100)).toBe(50);
  });

  it('are halved with FP32 accumulate on GeForce cards, and are not on workstation cards of the same chip', () => {
    const geforce = device('nvidia-rtx-4090');
    const half = peakOf(geforce, 'fp16', 'fp32')?.flopPerSecond ?? 0;
    expect(peakOf(geforce, 'fp16', 'fp16')?.flopPerSecond).toBe(2 * half);
    expect(tera(half)).toBeCloseTo(165.15, 1);
    const workstation = device('nvidia-rtx-6000-ada');
    expect(peakOf(workstation, 'fp16', 'fp32')?.flopPerSecond).toBe(
      peakOf(workstation, 'fp16', 'fp16')?.flopPerSecond,
    );
  });

  it('tell what is not in the hardware from what nobody has published', () => {
    expect(precisionSupport(device('amd-ryzen-ai-max-395')).fp8.status).toBe('not-in-hardware');
    expect(precisionSupport(device('nvidia-rtx-3090')).fp8.status).toBe('not-in-hardware');
    expect(precisionSupport(device('nvidia-rtx-5090')).fp4.status).toBe('rate');
    expect(precisionSupport(device('apple-m4-max-40c')).fp16.status).toBe('rate-not-published');
    expect(precisionSupport(device('apple-m6-12c')).fp8.status).toBe('unknown');
  });

  it('are the stated ones where a clock is not published', () => {
    expect(peakOf(device('apple-m5-max-40c'), 'fp16')).toMatchObject({
      basis: 'stated',
      flopPerSecond: 73.6e12,
    });
  });
});

describe('the bandwidth of a device', () => {
  it('is bus width / 8 x data rate: 256 bits at 8000 MT/s are 256 GB/s, of which 212 are 83 %', () => {
    const bandwidth = bandwidthOf(device('amd-ryzen-ai-max-395'))?.bytesPerSecond ?? 0;
    expect(bandwidth).toBe(256e9);
    expect(Math.round((212e9 / bandwidth) * 100)).toBe(83);
  });

  it('depends on the modules where memory is not soldered', () => {
    const options = bandwidthsOf(device('amd-radeon-780m')).map(({ bytesPerSecond }) => bytesPerSecond / 1e9);
    expect(options).toEqual([89.6, 120, 128]);
  });
});

describe('looking up a device', () => {
  it.each([
    ['NVIDIA GeForce RTX 4090', 'nvidia-rtx-4090', 1],
    ['nvidia-rtx-3090-x4', 'nvidia-rtx-3090', 4],
    ['AMD Ryzen 9 7950X 16-Core Processor', 'amd-ryzen-7950x', 1],
    ['cpu-amd-ryzen-9-7950x', 'amd-ryzen-7950x', 1],
    ['NVIDIA GeForce RTX 4060 Laptop GPU', 'nvidia-rtx-4060-laptop', 1],
    ['AMD Radeon RX 7900 XTX', 'amd-rx-7900-xtx', 1],
    ['AMD Radeon 780M Graphics (RADV PHOENIX)', 'amd-radeon-780m', 1],
    ['Intel(R) Arc(TM) B580 Graphics', 'intel-arc-b580', 1],
    ['NVIDIA A100 80GB PCIe', 'nvidia-a100-pcie-80gb', 1],
    ['NVIDIA H100 80GB HBM3', 'nvidia-h100-sxm-80gb', 1],
    ['13th Gen Intel(R) Core(TM) i9-13900K', 'intel-core-i9-13900k', 1],
    ['Intel(R) Xeon(R) CPU E5-2667 v4 @ 3.20GHz', 'intel-xeon-e5-2667-v4', 1],
    ['AMD Ryzen Threadripper PRO 7995WX 96-Cores', 'amd-threadripper-7995wx', 1],
    ['i9-12900k', 'intel-core-i9-12900k', 1],
    ['12th Gen Intel(R) Core(TM) i7-1280P', 'intel-core-i7-1280p', 1],
    ['AMD Ryzen 7 4800H with Radeon Graphics', 'amd-ryzen-4800h', 1],
    ['cpu-intel-core-i9-14900k-alderlake', 'intel-core-i9-14900k', 1],
  ])('%s is %s', (text, id, count) => {
    expect(findDevice(text, devices)).toMatchObject({ device: { id }, count });
  });

  it.each(['AMD Radeon Graphics', 'Intel(R) Arc(TM) Graphics', 'AMD EPYC', 'nvidia-rtx-3090-x0', 'x2', ''])(
    'finds nothing behind a name that says too little: %s',
    (text) => {
      expect(findDevice(text, devices)).toBeNull();
    },
  );

  it('names the variants where a name means several', () => {
    const found = resolveDevice('RTX 4060 Ti', devices);
    expect(found.device.id).toBe('nvidia-rtx-4060-ti-16-gb');
    expect(found.others.map(({ id }) => id)).toEqual(['nvidia-rtx-4060-ti-8-gb']);
  });

  it('tells variants apart by the memory that the driver reports, and the cores from the GPU of one chip', () => {
    const id = (name: string, gibibytes: number): string =>
      resolveDevice(name, devices, { memoryBytes: bytes(gibibytes * 2 ** 30) }).device.id;
    expect(id('NVIDIA GeForce RTX 4060 Ti', 7.63)).toBe('nvidia-rtx-4060-ti-8-gb');
    expect(id('Orin', 7.3)).toMatch(/^nvidia-jetson-orin-n/);
    expect(resolveDevice('Ryzen AI Max+ 395', devices, { kind: 'cpu' }).device.id).toBe(
      'amd-ryzen-ai-max-395-cpu',
    );
    expect(resolveDevice('Ryzen AI Max+ 395', devices).device.id).toBe('amd-ryzen-ai-max-395');
  });

  it('finds in the files what it finds in the whole catalogue, by id and by names that several records share', () => {
    const shared = ['Apple M1', 'Ryzen AI Max 395', 'rtx-4090-x2', 'no-such-device'];
    const names = [...shared, ...devices.slice(0, 20).map(({ id }) => id)];
    expect(names.map((name) => findDeviceRecord(name)?.device.id)).toEqual(
      names.map((name) => findDevice(name, devices)?.device.id),
    );
  });

  it('names the nearest ids for an unknown one', () => {
    expect(() => resolveDevice('nvidia-rtx-4095', devices)).toThrow(/nearest ids are nvidia-rtx-4090/);
    expect(() => resolveMachine('mac-mini-m4-17', machines)).toThrow(/mac-mini-m4-16/);
  });

  it('counts a name as near that has the text within it, and devices where they would do as well', () => {
    expect(() => resolveMachine('framework', machines)).toThrow(/framework-desktop-395-128/);
    expect(() => resolveMachine('nvidia-rtx-5091', machines, devices)).toThrow(/nvidia-rtx-5090/);
    expect(() => resolveMachine('nvidia-rtx-5091', machines)).not.toThrow(/nvidia-rtx-5090/);
  });
});

describe('what others measured', () => {
  const published = readPublishedReadings();

  it('belongs to devices of the catalogue, and never exceeds the theoretical bandwidth', () => {
    expect(published.length).toBeGreaterThan(100);
    for (const reading of published) {
      const { device: measured } = resolveDevice(reading.device, devices);
      expect(measured.id).toBe(reading.device);
      if (!reading.quantity.endsWith('-bandwidth')) continue;
      expect(reading.high).toBeLessThan(bandwidthOf(measured)?.bytesPerSecond ?? 0);
    }
  });

  it('is a range: the GPU of the Ryzen AI Max+ 395 read 202 to 221 GB/s', () => {
    const range = referenceRange('amd-ryzen-ai-max-395', 'read-bandwidth', published);
    expect(range).toMatchObject({ low: 202.1e9, high: 221e9, readings: 58 });
  });

  it('is kept apart by data type, and null where nobody has published any', () => {
    expect(referenceRange('amd-ryzen-ai-max-395', 'gemm', published, 'bf16')).toMatchObject({
      low: 5.1e12,
      high: 36.9e12,
    });
    expect(referenceRange('amd-ryzen-ai-max-395', 'gemm', published, 'fp8')).toBeNull();
    expect(referenceRange('nvidia-rtx-2060', 'read-bandwidth', published)).toBeNull();
  });
});
