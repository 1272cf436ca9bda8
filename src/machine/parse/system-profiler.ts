import { z } from 'zod';
import { readFrom, type Fact } from '../fact.ts';
import { parseCount } from './lists.ts';

const displaySchema = z.object({
  sppci_model: z.string().optional(),
  sppci_cores: z.string().optional(),
  spdisplays_vendor: z.string().optional(),
});

const profileSchema = z.object({
  SPHardwareDataType: z
    .array(
      z.object({
        chip_type: z.string().optional(),
        machine_model: z.string().optional(),
        machine_name: z.string().optional(),
        boot_rom_version: z.string().optional(),
      }),
    )
    .optional(),
  SPDisplaysDataType: z.array(displaySchema).optional(),
});

interface ProfiledGpu {
  readonly name: string | undefined;
  readonly vendor: 'apple' | 'amd' | 'intel' | 'nvidia' | undefined;
  readonly coreCount: number | undefined;
}
export interface SystemProfile {
  readonly model: Fact<string>;
  readonly firmware: Fact<string>;
  readonly gpus: Fact<ProfiledGpu[]>;
}

/** Reads `system_profiler -json SPHardwareDataType SPDisplaysDataType`. */
export function parseSystemProfiler(output: Fact<string>): SystemProfile {
  const profile = readFrom(
    output,
    '',
    (text) => {
      try {
        return profileSchema.safeParse(JSON.parse(text)).data;
      } catch {
        return undefined;
      }
    },
    'is not the JSON document that was asked for',
  );
  return {
    model: readFrom(profile, 'machine_name, machine_model', (document) => {
      const hardware = document.SPHardwareDataType?.[0];
      const name = [hardware?.machine_name, hardware?.machine_model].filter((part) => part !== undefined);
      return name.length === 0 ? undefined : name.join(' ');
    }),
    firmware: readFrom(
      profile,
      'boot_rom_version',
      (document) => document.SPHardwareDataType?.[0]?.boot_rom_version,
    ),
    gpus: readFrom(profile, 'SPDisplaysDataType', (document) =>
      document.SPDisplaysDataType?.map((display) => ({
        name: display.sppci_model,
        vendor: vendorOf(display.spdisplays_vendor ?? ''),
        coreCount: parseCount(display.sppci_cores ?? ''),
      })),
    ),
  };
}

function vendorOf(text: string): ProfiledGpu['vendor'] {
  if (/apple/i.test(text)) return 'apple';
  if (/amd|ati\b/i.test(text)) return 'amd';
  if (/intel/i.test(text)) return 'intel';
  return /nvidia/i.test(text) ? 'nvidia' : undefined;
}
