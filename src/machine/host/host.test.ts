import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { seconds } from '../../units/index.ts';
import { captureSchema } from '../capture.ts';
import { unknown, valueOf } from '../fact.ts';
import { identify } from '../identify.ts';
import type { TelemetryReading } from '../telemetry.ts';
import { gatherMachine } from './gather.ts';
import { hashState } from './state-hash.ts';
import { startTelemetry } from './telemetry.ts';

/** Commands may take their whole time-out on a busy machine. */
const GATHER_TIMEOUT_MS = 30_000;
const onLinux = process.platform === 'linux';

describe('gathering this machine', () => {
  it(
    'gives a capture that can be saved, and facts that are sane',
    { timeout: GATHER_TIMEOUT_MS },
    async () => {
      const capture = await gatherMachine();
      expect(captureSchema.parse(JSON.parse(JSON.stringify(capture)))).toEqual(capture);
      const facts = identify(capture);
      expect(valueOf(facts.cpu.logicalCores)).toBeGreaterThan(0);
      expect(valueOf(facts.memory.totalBytes)).toBeGreaterThan(2 ** 28);
      // Short host names such as "vm" occur in honest words.
      const name = hostname().length > 6 ? hostname() : 'no host is named like this';
      expect(JSON.stringify(capture)).not.toContain(name);
    },
  );
});

describe('the hash of a state', () => {
  it('has 16 hexadecimal digits and does not depend on the order of the entries', () => {
    expect(hashState({ kernel: '6.8.0', boost: 'true' })).toMatch(/^[0-9a-f]{16}$/);
    expect(hashState({ kernel: '6.8.0', boost: 'true' })).toBe(hashState({ boost: 'true', kernel: '6.8.0' }));
    expect(hashState({ kernel: '6.8.0' })).not.toBe(hashState({ kernel: '6.11.0' }));
  });
});

describe('telemetry', () => {
  it.runIf(onLinux)('follows a process until after it has ended', async () => {
    const child = spawn(process.execPath, ['-e', 'const end = Date.now() + 1200; while (Date.now() < end);']);
    const { pid } = child;
    if (pid === undefined) throw new Error('no process was started');
    const ended = once(child, 'exit');
    const window = startTelemetry({ pid, intervalMs: 100 });
    await ended;
    await sleep(150);
    const record = window.stop();
    expect(valueOf(record.peakResidentBytes)).toBeGreaterThan(2 ** 20);
    expect(valueOf(record.majorPageFaults)).toBeGreaterThanOrEqual(0);
    expect(valueOf(record.otherCpuShare)).toBeLessThan(1);
    expect(record.readings).toBeGreaterThan(5);
  });

  it('of a process that never was is unknown, and nothing fails', () => {
    const record = startTelemetry({ pid: 2 ** 30 }).stop();
    expect(record.residentBytes.known).toBe(false);
    expect(record.otherCpuShare.known).toBe(false);
  });

  it('reads from another source when given one, at the start, in between and at the end, and closes it', async () => {
    const absent = unknown('is a test', 'test');
    const reading: TelemetryReading = {
      atSeconds: seconds(0),
      cpuEnergyJoules: absent,
      gpuPowerWatts: absent,
      cpuClockHertz: absent,
      gpuClockHertz: absent,
      cpuTemperatureCelsius: absent,
      gpuTemperatureCelsius: absent,
      gpuMemoryUsedBytes: absent,
      throttleCounters: absent,
      residentBytes: absent,
      peakResidentBytes: absent,
      majorFaults: absent,
      cpuTicks: absent,
    };
    let closed = 0;
    const window = startTelemetry({
      pid: 1,
      intervalMs: 5,
      source: {
        read: () => reading,
        close: () => {
          closed += 1;
        },
      },
    });
    await sleep(60);
    expect(window.stop().readings).toBeGreaterThan(2);
    expect(closed).toBe(1);
  });
});
