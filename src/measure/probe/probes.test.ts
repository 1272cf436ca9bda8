import { describe, expect, test } from 'vitest';
import { EngineFailure, type EngineProbe } from '../../engine/index.ts';
import {
  bytes,
  bytesPerSecond,
  flopPerSecond,
  KIB,
  MIB,
  nanoseconds,
  seconds,
  type Seconds,
} from '../../units/index.ts';
import { bandwidthCurves, bandwidthLevels, planBandwidth, probeBandwidth, streamRate } from './bandwidth.ts';
import { defaultSpace, probeGemm, type GemmPlan } from './gemm.ts';
import { gemmResults, steadyRate } from './gemm-result.ts';
import { subjectLabel, type ProbeHost } from './host.ts';
import type { ProbeReading } from './record.ts';
import { roofline } from './roofline.ts';
import { operationsOf, type Shape } from './shape-space.ts';
import { planTransfer, probeTransfer, transferCurves } from './transfer.ts';

/** A machine of 100 GB/s in its 1 MiB cache, 10 GB/s in memory, 1 µs for each pass, and 1 TFLOP/s without losses. */
const MACHINE = { cache: 100, memory: 10, emptyPass: 1000, flopPerNanosecond: 1000 } as const;

const device: EngineProbe = {
  processId: null,
  multiply: ({ rows, batch, columns }) => {
    if (rows > 1024) return Promise.reject(new EngineFailure('out-of-memory', 'Too large.'));
    const time = operationsOf({ rows, batch, columns }) / MACHINE.flopPerNanosecond + 10_000;
    return Promise.resolve([nanoseconds(time), nanoseconds(time * 1.01), nanoseconds(time * 1.02)]);
  },
  attend: () => Promise.reject(new EngineFailure('unsupported', 'No attention.')),
  stream: ({ workingSetBytes }) => {
    const rate = workingSetBytes <= MIB ? MACHINE.cache : MACHINE.memory;
    const step = workingSetBytes / rate + MACHINE.emptyPass;
    return Promise.resolve({
      samplesNanoseconds: [nanoseconds(step * 4), nanoseconds(step * 4), nanoseconds(step * 4.1)],
      steps: 4,
      bytesPerStep: workingSetBytes,
      emptyStepNanoseconds: nanoseconds(MACHINE.emptyPass),
    });
  },
  transfer: ({ memory, sizeBytes }) =>
    Promise.resolve(memory === 'pinned' ? null : [nanoseconds(2000 + sizeBytes / 20)]),
  end: () => Promise.resolve(),
};

function hostOf(left: readonly ProbeReading[] = []): { host: ProbeHost; kept: ProbeReading[] } {
  const kept: ProbeReading[] = [];
  const waiting = [...left];
  let time = 0;
  const host: ProbeHost = {
    probe: device,
    device: 'CPU',
    now: (): Seconds => seconds((time += 0.001)),
    watch: () => null,
    keep: (reading) => Promise.resolve(void kept.push(reading)),
    recall(label) {
      const index = waiting.findIndex(
        (each) => subjectLabel(each.device, each.threads, each.subject) === label,
      );
      return index < 0 ? null : (waiting.splice(index, 1)[0] ?? null);
    },
  };
  return { host, kept };
}

const LIMITS = { lastLevelCacheBytes: bytes(2 * MIB), memoryBytes: bytes(64 * MIB), threads: 4 };

describe('the bandwidth probe', () => {
  test('doubles working sets up to a quarter of the free memory, and threads up to all', () => {
    const plan = planBandwidth(LIMITS);
    expect(plan.workingSets.at(0)).toBe(64 * KIB);
    expect(plan.workingSets.at(-1)).toBe(16 * MIB);
    expect(plan.threads).toEqual([1, 2, 4]);
    expect(planBandwidth({ ...LIMITS, memoryBytes: null }).workingSets.at(-1)).toBe(128 * MIB);
    const unknown = { ...LIMITS, memoryBytes: null, lastLevelCacheBytes: null };
    expect(planBandwidth(unknown).workingSets.at(-1)).toBe(512 * MIB);
  });

  test('shows the levels of the machine, without what a pass costs by itself', async () => {
    const { host } = hostOf();
    const curves = bandwidthCurves(await probeBandwidth(planBandwidth(LIMITS), host));
    const levels = bandwidthLevels(curves, 4, [{ name: 'L2', sizeBytes: bytes(2 * MIB) }]);
    expect(levels.map(({ name }) => name)).toEqual(['L2', 'memory']);
    expect(levels[0]?.rates.read?.value).toBeCloseTo(100e9, -7);
    expect(levels[1]?.rates.triad?.value).toBeCloseTo(10e9, -6);
  });

  test('says nothing of memory when no working set is much larger than the last cache', async () => {
    const { host } = hostOf();
    const curves = bandwidthCurves(await probeBandwidth(planBandwidth(LIMITS), host));
    const levels = bandwidthLevels(curves, 4, [{ name: 'L3', sizeBytes: bytes(32 * MIB) }]);
    expect(levels.map(({ name }) => name)).toEqual(['L3']);
  });

  test('gives no rate when a pass takes hardly longer than an empty one', async () => {
    const { host } = hostOf();
    const [first] = await probeBandwidth({ ...planBandwidth(LIMITS), workingSets: [bytes(64 * KIB)] }, host);
    if (first === undefined || first.subject.kind !== 'stream') throw new Error('no reading');
    expect(streamRate(first)).toBeNull();
  });
});

describe('the transfer probe', () => {
  test('stops asking for pinned memory when there is none', async () => {
    const { host, kept } = hostOf();
    const readings = await probeTransfer(planTransfer(bytes(MIB * 64)), host);
    expect(
      readings.filter(({ subject }) => subject.kind === 'transfer' && subject.memory === 'pinned'),
    ).toHaveLength(1);
    expect(kept).toEqual(readings);
    const curves = transferCurves(readings);
    expect(curves.map(({ direction, memory }) => `${direction} ${memory}`)).toEqual([
      'to-device pageable',
      'from-device pageable',
    ]);
    expect(curves[0]?.points.at(-1)?.rate?.value).toBeGreaterThan(19e9);
    expect(curves[0]?.points.at(0)?.seconds).toBeLessThan(3e-6);
  });
});

const PLAN: GemmPlan = {
  by: 'ggml',
  environment: {},
  type: 'F16',
  threads: 4,
  space: { rows: [256, 512, 1024, 2048], batch: [256, 512], columns: [256, 512, 1024] },
  exhaustive: true,
  milliseconds: 1,
  searchSeconds: seconds(60),
  steadySeconds: seconds(0),
};
const multiply = (shape: Shape): ReturnType<EngineProbe['multiply']> =>
  device.multiply({ device: 'CPU', type: 'F16', ...shape, threads: 4, milliseconds: 1 });

describe('the probe of products', () => {
  test('reports best, median and geometric mean of the shapes that could be run, and a map of them', async () => {
    const { host } = hostOf();
    const readings = await probeGemm(
      { ...PLAN, space: { ...PLAN.space, rows: [256, 512, 1024] } },
      host,
      multiply,
    );
    const [result] = gemmResults(readings);
    expect(result?.best.shape).toEqual({ rows: 1024, batch: 512, columns: 1024 });
    expect(result?.shapesTimed).toBe(18);
    expect(result?.median).toBeLessThan(result?.best.rate.value ?? 0);
    expect(result?.geometricMean).toBeLessThan(result?.median ?? 0);
    expect(result?.heatMap.rows).toEqual([256, 512, 1024]);
    expect(result?.heatMap.flopPerSecond[2]?.[1]).toBe(result?.best.rate.value);
  });

  test('keeps failures as readings, and ends after three in a row', async () => {
    const { host, kept } = hostOf();
    await probeGemm({ ...PLAN, space: { ...PLAN.space, rows: [2048] } }, host, multiply);
    expect(kept).toHaveLength(3);
    expect(kept[0]?.failure).toEqual({ kind: 'out-of-memory', sentence: 'Too large.' });
    expect(gemmResults(kept)).toEqual([]);
  });

  test('goes on with the readings of an interrupted run', async () => {
    const first = hostOf();
    const whole = await probeGemm(PLAN, first.host, multiply);
    const second = hostOf(whole.slice(0, 10));
    const timed: Shape[] = [];
    await probeGemm(PLAN, second.host, (shape) => {
      timed.push(shape);
      return multiply(shape);
    });
    expect(timed).toHaveLength(whole.length - 10);
    expect(second.kept).toEqual(whole.slice(10));
  });

  test('takes a space whose largest product a machine of that rate does in about 0.15 s', () => {
    const slow = defaultSpace(flopPerSecond(1e11));
    expect(slow.rows.at(-1)).toBe(1792);
    expect(defaultSpace(flopPerSecond(1e14)).rows.at(-1)).toBe(7680);
    expect(defaultSpace(flopPerSecond(1e8)).rows).toEqual([256, 512, 768]);
  });
});

describe('a run without a pause', () => {
  const shape = { rows: 1000, batch: 1000, columns: 500 };
  /** Products of 100 ms at 10 GFLOP/s. */
  const at = (share: number): number => 1e8 / share;

  test('tells the first second from the settled rate', () => {
    const samples = [...Array<number>(12).fill(at(1.2)), ...Array<number>(60).fill(at(1))].map(nanoseconds);
    const rate = steadyRate(shape, samples);
    expect(rate?.boost).toBeCloseTo(12e9, -3);
    expect(rate?.sustained).toBeCloseTo(10e9, -3);
  });

  test('has no sustained rate while it still falls', () => {
    const samples = Array.from({ length: 50 }, (_, index) => nanoseconds(at(1 - index / 100)));
    expect(steadyRate(shape, samples)?.sustained).toBeNull();
    expect(steadyRate(shape, [nanoseconds(5e8)])).toBeNull();
  });
});

describe('the roofline', () => {
  test('puts ridges where roofs meet the memory, and models where their weights are read', () => {
    const rate = <T>(value: T) => ({ value, low: value, high: value, best: value });
    const gemm = {
      by: 'ggml',
      type: 'F16',
      environment: {},
      best: { shape: { rows: 1, batch: 1, columns: 1 }, rate: rate(flopPerSecond(1e12)) },
      median: flopPerSecond(1e12),
      geometricMean: flopPerSecond(1e12),
      shapesTimed: 1,
      timings: 1,
      failures: 0,
      steady: {
        boost: flopPerSecond(1e12),
        sustained: flopPerSecond(8e11),
        duration: seconds(5),
        perSecond: [],
      },
      telemetry: null,
      heatMap: { rows: [], batch: [], flopPerSecond: [] },
    } as const;
    const speed = {
      name: 'a model',
      kind: 'pp',
      tokensPerSecond: 50,
      activeParameters: 8e9,
      weightBytes: 4e9,
      tokensPerPass: 512,
    } as const;
    const line = roofline([gemm], [{ name: 'memory', rates: { read: rate(bytesPerSecond(4e10)) } }], [speed]);
    expect(line.ridges).toEqual([{ roof: 'F16', flopPerByte: 20 }]);
    expect(line.points[0]).toMatchObject({ flopPerByte: 2048, rate: 8e11 });
  });
});
