import { assert, json, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { known, unknown, valueOf, type Fact } from '../fact.ts';
import { parseCpuQuota, parseMemoryLimit } from './cgroup.ts';
import { coreKinds, type FileFacts } from './cpu-topology.ts';
import { channelName, installedMemory, parseRawMemory, parseUdevMemory } from './dmi.ts';
import { parseThrottleResidencies } from './gpu-metrics.ts';
import { parseCpuList } from './lists.ts';
import { parseNvidiaSmi } from './nvidia-smi.ts';
import { parseNvidiaTelemetry } from './nvidia-telemetry.ts';
import { parsePowerSupply } from './power-profile.ts';
import { parseCim } from './powershell.ts';
import { parseCpuinfo } from './proc-cpuinfo.ts';
import { parseMeminfo } from './proc-meminfo.ts';
import { parseProcessStat, parseResident, parseSystemTicks } from './proc-process.ts';
import { parseSystemProfiler } from './system-profiler.ts';
import { parseVulkanSummary } from './vulkaninfo.ts';

const text = (value: string): Fact<string> => known(value, 'test');
const files = (all: Readonly<Record<string, string>>): FileFacts =>
  known(new Map(Object.entries(all).map(([path, value]) => [path, known(value, path)])), 'test');
const NONE: FileFacts = unknown('no file of this name exists', 'none');

describe('parsers of foreign text', () => {
  it('never throw, whatever the text is', () => {
    const parsers: readonly ((input: Fact<string>) => unknown)[] = [
      parseCim,
      parseCpuinfo,
      parseMeminfo,
      parseNvidiaSmi,
      parseNvidiaTelemetry,
      parseSystemProfiler,
      parseUdevMemory,
      parseVulkanSummary,
    ];
    assert(
      property(oneof(string(), json()), (input) => {
        parseCpuList(input);
        parseProcessStat(input);
        parseResident(input);
        parseSystemTicks(input);
        parseRawMemory(files({ a: input }));
        for (const parse of parsers) expect(() => parse(text(input))).not.toThrow();
      }),
    );
  });
});

describe('CPU lists of the kernel', () => {
  it('are read with ranges and single numbers', () => {
    expect(parseCpuList('0-3,8,10-11\n')).toEqual([0, 1, 2, 3, 8, 10, 11]);
    expect(parseCpuList('')).toEqual([]);
  });

  it('are refused when they are none or too long', () => {
    expect(parseCpuList('3-1')).toBeUndefined();
    expect(parseCpuList('0-4000000000')).toBeUndefined();
  });
});

describe('hybrid Intel processors', () => {
  const siblings = (lists: readonly string[]): FileFacts =>
    files(
      Object.fromEntries(
        lists.map((list, cpu) => [`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`, list]),
      ),
    );

  it('compute with their performance cores: one thread for each pair of hyper-threads', () => {
    const lists = ['0-1', '0-1', '2-3', '2-3', '4', '5', '6', '7'];
    const kinds = coreKinds(text('0-7'), text('0-3'), text('4-7'), siblings(lists));
    expect(valueOf(kinds.performanceCores)).toBe(2);
    expect(valueOf(kinds.efficiencyCores)).toBe(4);
    expect(valueOf(kinds.engineDefaultThreads)).toBe(2);
  });

  it('are counted as llama.cpp counts them where the performance cores have no hyper-threads: every other one', () => {
    const lists = ['0', '1', '2', '3', '4', '5', '6', '7'];
    const kinds = coreKinds(text('0-7'), text('0-3'), text('4-7'), siblings(lists));
    expect(valueOf(kinds.performanceCores)).toBe(4);
    expect(valueOf(kinds.engineDefaultThreads)).toBe(2);
  });
});

describe('control group limits', () => {
  it('are those of the tightest group on the way', () => {
    const quota = parseCpuQuota(files({ a: 'max 100000', b: '150000 100000' }), NONE, NONE);
    expect(valueOf(quota)).toBe(1.5);
    expect(valueOf(parseMemoryLimit(files({ a: 'max', b: '1073741824', c: '2147483648' }), NONE))).toBe(
      2 ** 30,
    );
  });

  it('are unlimited where version 1 writes -1 or its largest number', () => {
    expect(valueOf(parseCpuQuota(NONE, files({ a: '-1' }), files({ a: '100000' })))).toBe('unlimited');
    expect(valueOf(parseMemoryLimit(NONE, files({ a: '9223372036854771712' })))).toBe('unlimited');
  });

  it('are unknown where neither version is there', () => {
    expect(parseMemoryLimit(NONE, NONE)).toMatchObject({ known: false });
  });
});

describe('memory devices', () => {
  it('leave empty sockets out and run at the speed of the slowest', () => {
    const memory = installedMemory(
      parseUdevMemory(
        text(
          'MEMORY_DEVICE_0_SIZE=17179869184\nMEMORY_DEVICE_0_TYPE=DDR5\nMEMORY_DEVICE_0_CONFIGURED_SPEED_MTS=6000\nMEMORY_DEVICE_1_PRESENT=0\nMEMORY_DEVICE_2_SIZE=17179869184\nMEMORY_DEVICE_2_TYPE=DDR5\nMEMORY_DEVICE_2_SPEED_MTS=5600',
        ),
      ),
    );
    expect(valueOf(memory.modules)).toBe(2);
    expect(valueOf(memory.transfersPerSecond)).toBe(5.6e9);
    expect(memory.channels).toMatchObject({
      known: false,
      reason: expect.stringContaining('name no channels'),
    });
  });

  it('are read from a raw structure: 32 GiB of DDR5 at 5600 MT/s', () => {
    const structure = Buffer.alloc(0x5c);
    structure[0] = 17;
    structure[1] = 0x5c;
    structure.writeUInt16LE(0x7fff, 0x0c);
    structure[0x12] = 0x22;
    structure.writeUInt16LE(5600, 0x15);
    structure.writeUInt32LE(32 * 1024, 0x1c);
    structure.writeUInt16LE(5600, 0x20);
    const memory = installedMemory(parseRawMemory(files({ raw: structure.toString('hex') })));
    expect(valueOf(memory.installedBytes)).toBe(32 * 2 ** 30);
    expect(valueOf(memory.type)).toBe('DDR5');
    expect(valueOf(memory.transfersPerSecond)).toBe(5.6e9);
  });

  it.each([
    ['P0 CHANNEL A', 'P0 A'],
    ['Controller1-ChannelB-DIMM0', 'CONTROLLER1-B'],
    ['DIMM 0', undefined],
  ])('have the channel that %s names', (locator, channel) => {
    expect(channelName(locator)).toBe(channel);
  });
});

describe('nvidia-smi', () => {
  it('that complains instead of answering gives no GPUs and says so', () => {
    expect(parseNvidiaSmi(text('Field "compute_cap" is not a valid field to query.\n'))).toMatchObject({
      known: false,
    });
  });

  it('prints a line of telemetry whose missing columns are unknown', () => {
    const gpu = parseNvidiaTelemetry(text('11.17, 2405, 35, [N/A]'));
    expect(valueOf(gpu.powerWatts)).toBe(11.17);
    expect(valueOf(gpu.clockHertz)).toBe(2.405e9);
    expect(gpu.memoryUsedBytes.known).toBe(false);
  });
});

describe('the power supply', () => {
  it('is the battery while it discharges and no mains supply is online', () => {
    const types = files({ '/p/AC/type': 'Mains', '/p/BAT0/type': 'Battery' });
    const status = files({ '/p/BAT0/status': 'Discharging' });
    expect(valueOf(parsePowerSupply(types, files({ '/p/AC/online': '0' }), status))).toBe('battery');
    expect(valueOf(parsePowerSupply(types, files({ '/p/AC/online': '1' }), status))).toBe('mains');
    expect(parsePowerSupply(NONE, NONE, NONE).known).toBe(false);
  });
});

describe('counters of a process', () => {
  it('are read behind a name that holds spaces and parentheses', () => {
    const line =
      '42 (a (b) c) S 1 42 42 0 -1 4194304 900 10 7 3 250 50 20 5 20 0 4 0 1000 2000000 300 18446744073709551615';
    expect(parseProcessStat(line)).toEqual({ cpu: 325, majorFaults: 7 });
  });

  it('of the machine tell apart what is busy and what the hypervisor took', () => {
    expect(parseSystemTicks('cpu  100 10 50 800 20 5 5 30 40 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n')).toEqual({
      total: 1020,
      busy: 170,
      steal: 30,
    });
  });

  it('of memory are absent for a process that has ended', () => {
    expect(parseResident('Name:\tx\nState:\tZ (zombie)\n')).toBeUndefined();
    expect(parseResident('VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n')).toEqual({
      now: 2 ** 20,
      peak: 2 ** 21,
    });
  });
});

describe('gpu_metrics', () => {
  it('of format 3.0 counts throttle residencies', () => {
    const metrics = Buffer.alloc(264);
    metrics.writeUInt16LE(264, 0);
    metrics[2] = 3;
    metrics.writeUInt32LE(1234, 236);
    expect(parseThrottleResidencies(metrics)).toMatchObject({ counters: { fppt: 1234, 'thermal soc': 0 } });
  });

  it('of other formats says why it has none', () => {
    const metrics = Buffer.from([120, 0, 1, 3]);
    expect(parseThrottleResidencies(metrics)).toEqual({
      reason: 'gpu_metrics of format 1.3 counts no throttle residencies',
    });
  });
});
