import { describe, expect, it } from 'vitest';
import { readDeviceRecords, readModelRecords } from '../catalog/host/index.ts';
import { daysBeyond, driftOf } from './age.ts';
import { readParameters } from './host/index.ts';
import { Predictor } from './index.ts';
import type { Age } from './parameters.ts';
import type { Query } from './query.ts';

const PARAMETERS = readParameters();
const predictor = new Predictor(PARAMETERS, { devices: readDeviceRecords(), models: readModelRecords() });
const query: Query = {
  id: 1,
  device: 'amd-ryzen-ai-max-395',
  backend: 'vulkan-radv',
  model: 'llama-2-7b',
  quant: 'Q4_0',
  nPrompt: 512,
};

function widths(date: string | null): { readonly up: number; readonly down: number } {
  const answer = predictor.answer({ ...query, date });
  if ('error' in answer) throw new Error(answer.error.message);
  return { up: answer.high / answer.tokensPerSecond, down: answer.tokensPerSecond / answer.low };
}

describe('a build that is older or newer than all that the fit has seen', () => {
  const age: Age = {
    cell: 'pp d0',
    fromDays: 31,
    onward80: 0.9,
    back80: 0.1,
    onward90: 1,
    back90: 0.2,
    rows: 100,
  };

  it('may be slower when it is older, and faster when it is newer', () => {
    expect(driftOf([age], 'pp d0', -40, 80)).toEqual({ down: 0.9, up: 0.1 });
    expect(driftOf([age], 'pp d0', 40, 90)).toEqual({ down: 0.2, up: 1 });
  });

  it('is as good as known within the first class of distance and in other cells', () => {
    expect(driftOf([age], 'pp d0', -30, 80)).toEqual({ down: 0, up: 0 });
    expect(driftOf([age], 'tg d0', -400, 80)).toEqual({ down: 0, up: 0 });
  });

  it('has a wider interval on the side of slowness, which a build of the time between has not', () => {
    const within = widths('2025-10-01');
    const older = widths('2024-06-01');
    expect(older.down).toBeGreaterThan(within.down * 1.3);
    expect(widths(null).down).toBeCloseTo(within.down, 10);
    expect(widths(null).up).toBeCloseTo(within.up, 10);
  });

  it('is measured by the device with its backend first, then by the backend', () => {
    const prepared = predictor.reader.prepare({ ...query, date: '2024-06-01' });
    if ('code' in prepared) throw new Error(prepared.message);
    const { configuration } = prepared;
    const day = configuration.day ?? 0;
    expect(daysBeyond({ vulkan: [day + 5, day + 9] }, configuration)).toBe(-5);
    const seen = { vulkan: [day - 9, day + 9], 'amd-ryzen-ai-max-395 vulkan': [day - 9, day - 2] } as const;
    expect(daysBeyond(seen, configuration)).toBe(2);
    expect(daysBeyond({}, configuration)).toBe(0);
  });
});

describe('rocBLAS without hipBLASLt on a new chip', () => {
  const speed = (backend: string, date: string | null, nPrompt = 512): number => {
    const answer = predictor.answer({ ...query, backend, date, nPrompt });
    if ('error' in answer) throw new Error(answer.error.message);
    return answer.tokensPerSecond;
  };

  it('halves prompts of mid-2025 and no others', () => {
    expect(speed('rocm-6.4.3+tensile', '2025-08-18')).toBeLessThan(0.6 * speed('rocm-6.4.3', '2025-08-18'));
    expect(speed('rocm+tensile', '2026-02-01')).toBe(speed('rocm', '2026-02-01'));
    expect(speed('rocm+tensile', null)).toBe(speed('rocm', null));
    expect(speed('rocm+tensile', '2025-08-18', 32)).toBe(speed('rocm', '2025-08-18', 32));
  });

  it('is what builds before the first hipBLASLt for the chip have, unless they say otherwise', () => {
    expect(speed('rocm', '2025-05-15')).toBe(speed('rocm+tensile', '2025-05-15'));
    expect(speed('rocm', '2025-05-15')).toBeLessThan(0.6 * speed('rocm+hipblaslt', '2025-05-15'));
  });
});
