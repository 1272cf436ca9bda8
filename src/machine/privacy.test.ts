import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { relevantEnvironment } from './environment.ts';
import {
  anonymous,
  condenseCpuinfo,
  keepDmiFormattedArea,
  keepJsonKeys,
  keepKernelParameters,
} from './privacy.ts';
import { DARWIN, LINUX, WINDOWS } from './sources.ts';

const FIXTURES = new URL('../../test/fixtures/machines/', import.meta.url);

describe('a capture leaves out what identifies a person or a single machine', () => {
  it('replaces UUIDs, MAC addresses and the names of home directories', () => {
    expect(anonymous('GPU-2dee1e25-b3b5-007e-2b55-79f2d0f2ebe5 at 00:1a:2b:3c:4d:5e')).toBe(
      'GPU-<uuid> at <mac>',
    );
    expect(anonymous('/home/alice/x:/Users/bob/y:C:\\Users\\Carol\\z')).toBe(
      '/home/<user>/x:/Users/<user>/y:C:\\Users\\<user>\\z',
    );
  });

  it('keeps paths and versions that name nobody', () => {
    const text = '/usr/share/vulkan/icd.d/radeon_icd.json 6.18.9-200.fc43.x86_64 0000:c5:00.0';
    expect(anonymous(text)).toBe(text);
  });

  it('keeps only the kernel parameters that bear on speed', () => {
    expect(
      keepKernelParameters(
        'BOOT_IMAGE=/vmlinuz root=UUID=1234 ip=10.0.0.1::host amd_iommu=off amdgpu.gttsize=98304\n',
      ),
    ).toBe('amd_iommu=off amdgpu.gttsize=98304');
  });

  it('keeps one block of /proc/cpuinfo for each kind of core, without the serial number of the board', () => {
    const core = (number: number, part: string): string =>
      `processor\t: ${number}\nBogoMIPS\t: 108.00\nCPU part\t: ${part}`;
    const text = `${core(0, '0xd05')}\n\n${core(1, '0xd05')}\n\n${core(2, '0xd0b')}\n\nSerial\t\t: 10000000abcdef\nModel\t\t: Pi\n`;
    const kept = condenseCpuinfo(text);
    expect(kept).not.toContain('10000000abcdef');
    expect(kept.match(/^processor/gm)).toHaveLength(2);
  });

  it('cuts the strings of a raw SMBIOS structure, which hold serial numbers', () => {
    const formatted = `11 04 22 00`.replaceAll(' ', '');
    const strings = Buffer.from('SERIAL123\0\0').toString('hex');
    expect(keepDmiFormattedArea(`${formatted}${strings}`)).toBe(formatted);
  });

  it('keeps only named keys of a JSON document, at any depth', () => {
    const keep = keepJsonKeys(new Set(['hardware', 'chip_type']));
    const text = JSON.stringify({
      hardware: [{ chip_type: 'Apple M4', serial_number: 'C02', platform_UUID: 'x' }],
    });
    expect(JSON.parse(keep(text))).toEqual({ hardware: [{ chip_type: 'Apple M4' }] });
    expect(keep('not JSON with a serial number C02')).toBe('');
  });

  it('asks udev and pmset only for what it names', () => {
    const udev = 'MEMORY_DEVICE_0_SIZE=17179869184\nMEMORY_DEVICE_0_SERIAL_NUMBER=416433E9\nID_SERIAL=1';
    expect(LINUX.memoryDevices.filter?.(udev)).toBe('MEMORY_DEVICE_0_SIZE=17179869184');
    const pmset = ' sleep                1 (sleep prevented by sharingd, Alice)\n lowpowermode         1';
    expect(DARWIN.powerSettings.filter?.(pmset)).toBe(' lowpowermode         1');
  });

  it('cuts the instance part of a Windows device path', () => {
    const text = '{"PNPDeviceID":"PCI\\\\VEN_10DE&DEV_2882&SUBSYS_1&REV_A1\\\\4&2283F625&0&0019"}';
    expect(WINDOWS.cim.filter?.(text)).toBe('{"PNPDeviceID":"PCI\\\\VEN_10DE&DEV_2882&SUBSYS_1&REV_A1"}');
  });

  it('keeps the variables that change a result and none that sounds like a secret', () => {
    const kept = relevantEnvironment(
      {
        HOME: '/home/alice',
        HF_TOKEN: 'hf_secret',
        GGML_VK_VISIBLE_DEVICES: '0',
        GGML_SECRET: 'x',
        LLAMA_API_KEY: 'x',
        LLAMA_ARG_HF_TOKEN: 'x',
        LLAMA_ARG_MODEL: '/home/alice/m.gguf',
        LLAMA_GRAPH_REUSE_DISABLE: '1',
        VK_ICD_FILENAMES: '/home/alice/icd.json',
      },
      anonymous,
    );
    expect(kept).toEqual({
      GGML_VK_VISIBLE_DEVICES: '0',
      LLAMA_GRAPH_REUSE_DISABLE: '1',
      VK_ICD_FILENAMES: '/home/<user>/icd.json',
    });
  });

  it('holds in every stored fixture', () => {
    const names = readdirSync(FIXTURES).filter((name) => name.endsWith('.json'));
    expect(names.length).toBeGreaterThan(4);
    for (const name of names) {
      const text = readFileSync(new URL(name, FIXTURES), 'utf8');
      expect(anonymous(text)).toBe(text);
      expect(text).not.toMatch(/serial_?number|hostname|provisioning_UDID|_TOKEN|_KEY"/i);
    }
  });
});
