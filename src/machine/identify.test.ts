import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bytes, GIB } from '../units/index.ts';
import { captureSchema, type Capture } from './capture.ts';
import { known, valueOf } from './fact.ts';
import { machineFactsSchema } from './facts.ts';
import { identify } from './identify.ts';

const FIXTURES = new URL('../../test/fixtures/machines/', import.meta.url);

function captured(name: string): Capture {
  return captureSchema.parse(JSON.parse(readFileSync(new URL(name, FIXTURES), 'utf8')));
}
function machine(name: string) {
  return identify(captured(name));
}

const ALL = [
  'epyc-vm-linux.json',
  'strix-halo-linux.json',
  'dgx-spark-linux.json',
  'rtx4060-windows.json',
  'm4-max-macos.json',
];

describe.each(ALL)('the facts of %s', (name) => {
  it('survive being written and read', () => {
    const facts = machine(name);
    expect(machineFactsSchema.parse(JSON.parse(JSON.stringify(facts)))).toEqual(facts);
  });

  it('have a source each, and a reason where they are unknown', () => {
    const incomplete: unknown[] = [];
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      if ('known' in value) {
        const texts = [
          'source' in value ? value.source : '',
          'reason' in value ? value.reason : String(value.known),
        ];
        if (texts.some((text) => text === '' || text === 'false')) incomplete.push(value);
      }
      for (const item of Object.values(value)) visit(item);
    };
    visit(machine(name));
    expect(incomplete).toEqual([]);
  });

  it('need nothing that the capture does not hold', () => {
    expect(JSON.stringify(machine(name))).not.toContain('was not read when this capture was made');
  });
});

describe('a Strix Halo on Linux', () => {
  const facts = machine('strix-halo-linux.json');

  it('shares its memory: carve-out, GTT limit, and what was asked for', () => {
    const { unifiedMemory } = facts;
    expect(valueOf(unifiedMemory.unified)).toBe(true);
    expect(valueOf(unifiedMemory.carveOutBytes)).toBe(GIB / 2);
    expect(valueOf(unifiedMemory.gttLimitBytes)).toBe(96 * GIB);
    expect(valueOf(unifiedMemory.ttmPagesLimitBytes)).toBe(96 * GIB);
    expect(valueOf(unifiedMemory.gttSizeParameterBytes)).toBe(96 * GIB);
    expect(valueOf(unifiedMemory.gpuUsableBytes)).toBe(96.5 * GIB);
  });

  it('has 16 cores, 64 MiB of level 3 cache in two parts and eight channels of LPDDR5-8000', () => {
    expect(valueOf(facts.cpu.physicalCores)).toBe(16);
    expect(valueOf(facts.cpu.logicalCores)).toBe(32);
    expect(valueOf(facts.cpu.l1dTotalBytes)).toBe(16 * 48 * 1024);
    expect(valueOf(facts.cpu.l3TotalBytes)).toBe(64 * 2 ** 20);
    expect(valueOf(facts.cpu.features)).toEqual(
      expect.arrayContaining(['avx512_vnni', 'avx512_bf16', 'avx_vnni']),
    );
    expect(valueOf(facts.memory.installedBytes)).toBe(128 * GIB);
    expect(valueOf(facts.memory.transfersPerSecond)).toBe(8e9);
    expect(valueOf(facts.memory.channels)).toBe(8);
  });

  it('has one GPU, named by Vulkan, with the firmware that the driver loaded and no software renderer', () => {
    const gpus = valueOf(facts.gpus) ?? [];
    expect(gpus).toHaveLength(1);
    expect(valueOf(gpus[0]?.name ?? known('', ''))).toBe('Radeon 8060S Graphics (RADV STRIX_HALO)');
    expect(valueOf(gpus[0]?.firmware ?? known('', ''))).toContain('mes 0x00000080');
    expect(valueOf(facts.vulkan.devices)?.map((device) => device.type)).toEqual(['integrated-gpu', 'cpu']);
    expect(valueOf(facts.drivers.mesa)).toBe('26.0.2');
  });

  it('does not know the speed of memory from files that only root may read', () => {
    const capture = captured('strix-halo-linux.json');
    const { installedBytes } = identify({
      ...capture,
      entries: { ...capture.entries, 'udevadm info': { error: 'is not installed' } },
    }).memory;
    expect(installedBytes).toMatchObject({ known: false, reason: expect.stringContaining('root may') });
  });
});

describe('a DGX Spark', () => {
  const facts = machine('dgx-spark-linux.json');
  const gpu = (valueOf(facts.gpus) ?? [])[0];

  it('has a GPU whose memory nvidia-smi does not print: unknown, not zero', () => {
    expect(gpu?.memoryTotalBytes).toMatchObject({ known: false, reason: expect.stringContaining('[N/A]') });
    expect(gpu?.pcieLanes.known).toBe(false);
  });

  it('lets the GPU use the memory of the processor', () => {
    expect(valueOf(facts.unifiedMemory.unified)).toBe(true);
    expect(valueOf(facts.unifiedMemory.gpuUsableBytes)).toBe(127_600_748 * 1024);
  });

  it('lists one GPU though both the kernel and nvidia-smi show it', () => {
    expect(valueOf(facts.gpus)).toHaveLength(1);
    expect(valueOf(gpu?.pciAddress ?? known('', ''))).toBe('000f:01:00.0');
  });

  it('names both kinds of its ARM cores', () => {
    expect(valueOf(facts.cpu.model)).toBe('Cortex-A725 + Cortex-X925');
    expect(valueOf(facts.cpu.features)).toEqual(expect.arrayContaining(['neon', 'dotprod', 'i8mm', 'sve']));
  });
});

describe('a Windows machine with an RTX 4060', () => {
  const facts = machine('rtx4060-windows.json');

  it('knows the memory that 32 bits cannot hold, and leaves out displays that are no GPUs', () => {
    const gpus = valueOf(facts.gpus) ?? [];
    expect(gpus.map((gpu) => valueOf(gpu.name))).toEqual([
      'NVIDIA GeForce RTX 4060',
      'AMD Radeon(TM) Graphics',
    ]);
    expect(gpus.map((gpu) => valueOf(gpu.memoryTotalBytes))).toEqual([8188 * 2 ** 20, GIB / 2]);
  });

  it('refuses an AdapterRAM that stands at its limit', () => {
    const capture = captured('rtx4060-windows.json');
    const key = 'PowerShell Get-CimInstance';
    const entry = capture.entries[key];
    const text = entry !== undefined && 'text' in entry ? entry.text.replaceAll('8585740288', 'null') : '';
    const entries = {
      ...capture.entries,
      [key]: { text },
      'nvidia-smi --query-gpu': { error: 'is not installed' },
    };
    const gpu = (valueOf(identify({ ...capture, entries }).gpus) ?? [])[0];
    expect(gpu?.memoryTotalBytes).toMatchObject({ known: false, reason: expect.stringContaining('32 bits') });
  });

  it('reads DDR5-6000 in two channels, the power scheme, the microcode and the date of the firmware', () => {
    expect(valueOf(facts.memory.type)).toBe('DDR5');
    expect(valueOf(facts.memory.transfersPerSecond)).toBe(6e9);
    expect(valueOf(facts.memory.channels)).toBe(2);
    expect(valueOf(facts.power.scheme)).toBe('balanced');
    expect(valueOf(facts.cpu.microcode)).toBe('0x0a601209');
    expect(valueOf(facts.firmware.date)).toBe('2024-11-14');
  });
});

describe('a MacBook with an M4 Max', () => {
  const facts = machine('m4-max-macos.json');

  it('has 12 performance and 4 efficiency cores, and computes with the former', () => {
    expect(valueOf(facts.cpu.performanceCores)).toBe(12);
    expect(valueOf(facts.cpu.efficiencyCores)).toBe(4);
    expect(valueOf(facts.cpu.engineDefaultThreads)).toBe(12);
    expect(valueOf(facts.cpu.l2TotalBytes)).toBe((2 * 16 + 4) * 2 ** 20);
  });

  it('lets the GPU use what the wired limit says, and knows no limit that is the default', () => {
    expect(valueOf(facts.unifiedMemory.gpuUsableBytes)).toBe(40 * GIB);
    const capture = captured('m4-max-macos.json');
    const entry = capture.entries['sysctl'];
    const text =
      entry !== undefined && 'text' in entry ? entry.text.replace('limit_mb: 40960', 'limit_mb: 0') : '';
    const other = identify({ ...capture, entries: { ...capture.entries, sysctl: { text } } });
    expect(other.unifiedMemory.wiredLimitBytes).toMatchObject({ known: false });
  });
});

describe('a virtual machine without a GPU', () => {
  it('is known to have none when Vulkan answers with a software renderer only', () => {
    const facts = machine('epyc-vm-linux.json');
    expect(valueOf(facts.gpus)).toEqual([]);
    expect(valueOf(facts.vulkan.devices)).toHaveLength(1);
    expect(valueOf(facts.limits.hypervisor)).toBe('unidentified');
  });
});

describe('what the caller knows', () => {
  it('has a place for the devices that the engine lists', () => {
    const device = {
      name: 'Vulkan0',
      description: 'Radeon 8060S',
      backend: 'vulkan',
      type: 'igpu',
      memoryTotalBytes: known(bytes(96 * GIB), 'engine'),
      memoryFreeBytes: known(bytes(95 * GIB), 'engine'),
    };
    const facts = identify(captured('strix-halo-linux.json'), { engineDevices: [device] });
    expect(valueOf(facts.engineDevices)).toEqual([device]);
  });
});
