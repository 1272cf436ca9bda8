import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedVariants, openEmbeddedEngine } from '../../src/engine/host/index.ts';
import { STREAM_OPERATIONS, TRANSFER_DIRECTIONS, type EngineProbe } from '../../src/engine/index.ts';
import { bytes, KIB } from '../../src/units/index.ts';

const installed = (variant: string): boolean =>
  embeddedVariants().some((build) => build.variant === variant && build.directory !== null);

/** What every build must time, with sizes that a device in software does at once. */
function describeProbe(device: string, types: readonly string[], open: () => EngineProbe): void {
  let probe: EngineProbe;
  beforeAll(() => {
    probe = open();
  });
  afterAll(() => probe.end());
  const common = { device, threads: 2, milliseconds: 1 } as const;

  test.each(types)('multiplies with %s weights', async (type) => {
    const samples = await probe.multiply({ ...common, type, rows: 256, columns: 256, batch: 32 });
    expect(samples.length).toBeGreaterThanOrEqual(5);
    expect(Math.min(...samples)).toBeGreaterThan(0);
  });

  test('refuses a type that there is none of, and goes on', async () => {
    const request = { ...common, rows: 32, columns: 256, batch: 2 };
    await expect(probe.multiply({ ...request, type: 'Q99' })).rejects.toThrow(/Q99/);
    await expect(probe.multiply({ ...request, type: 'F16', device: 'Abacus0' })).rejects.toThrow(/Abacus0/);
    expect(await probe.multiply({ ...request, type: 'F16' })).not.toHaveLength(0);
  });

  test('attends to a cache, and refuses more layers than a graph holds', async () => {
    const request = { ...common, heads: 4, keyValueHeads: 2, headLength: 64, cells: 300 };
    const samples = await probe.attend({ ...request, layers: 2 });
    expect(samples.length).toBeGreaterThanOrEqual(5);
    expect(Math.min(...samples)).toBeGreaterThan(0);
    await expect(probe.attend({ ...request, layers: 100_000 })).rejects.toThrow(/layers/);
  });

  test.each(STREAM_OPERATIONS)('streams: %s', async (operation) => {
    const workingSetBytes = bytes(192 * KIB);
    const times = await probe.stream({ ...common, operation, workingSetBytes });
    expect(times.samplesNanoseconds.length).toBeGreaterThanOrEqual(5);
    expect(times.steps).toBeGreaterThanOrEqual(1);
    // The arrays together are the working set, but for the last row that does not fit.
    expect(times.bytesPerStep).toBeGreaterThan(0.98 * workingSetBytes);
    expect(times.bytesPerStep).toBeLessThanOrEqual(workingSetBytes);
  });

  test.each(TRANSFER_DIRECTIONS)('copies %s', async (direction) => {
    const request = { device, direction, sizeBytes: bytes(64 * KIB), milliseconds: 1 };
    expect(await probe.transfer({ ...request, memory: 'pageable' })).not.toHaveLength(0);
    // Only devices with memory of their own have a use for pinned memory.
    const pinned = await probe.transfer({ ...request, memory: 'pinned' });
    expect(pinned === null).toBe(device === 'CPU');
  });
}

describe.skipIf(!installed('cpu'))('the probe of the CPU build', () => {
  describeProbe('CPU', ['F16', 'BF16', 'Q8_0', 'Q4_0', 'Q4_K', 'MXFP4'], () =>
    openEmbeddedEngine({ variant: 'cpu' }).probe(),
  );
});

describe.skipIf(process.platform !== 'linux' || !installed('vulkan'))('the probe of the Vulkan build', () => {
  // llvmpipe is a CPU to Vulkan, which the backend takes only when it is told to.
  const before = process.env['GGML_VK_VISIBLE_DEVICES'];
  beforeAll(() => {
    process.env['GGML_VK_VISIBLE_DEVICES'] = '0';
  });
  afterAll(() => {
    if (before === undefined) delete process.env['GGML_VK_VISIBLE_DEVICES'];
    else process.env['GGML_VK_VISIBLE_DEVICES'] = before;
  });
  // Shaders of one type are compiled for a second.
  describeProbe('Vulkan0', ['F16', 'Q4_0'], () => openEmbeddedEngine({ variant: 'vulkan' }).probe());
});
