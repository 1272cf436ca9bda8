import { z } from 'zod';
import { readFrom, type Fact } from '../fact.ts';

const text = z.string().nullish();
const number = z.number().nullish();
/** ConvertTo-Json of Windows PowerShell 5.1 writes one object where a list has one element, and null for none. */
const listOf = <Item extends z.ZodRawShape>(shape: Item) =>
  z.preprocess(
    (value) => {
      const items: unknown[] = Array.isArray(value) ? value : [value];
      return items.filter((item) => item !== null && item !== undefined);
    },
    z.array(z.object(shape)),
  );

const cimSchema = z.object({
  processor: listOf({
    Name: text,
    Manufacturer: text,
    NumberOfCores: number,
    NumberOfLogicalProcessors: number,
    MaxClockSpeed: number,
    L2CacheSize: number,
    L3CacheSize: number,
  }),
  memory: listOf({
    Capacity: number,
    Speed: number,
    ConfiguredClockSpeed: number,
    SMBIOSMemoryType: number,
    DeviceLocator: text,
    BankLabel: text,
  }),
  video: listOf({
    Name: text,
    AdapterCompatibility: text,
    AdapterRAM: number,
    DriverVersion: text,
    PNPDeviceID: text,
  }),
  adapter: listOf({ DriverDesc: text, 'HardwareInformation.qwMemorySize': number }),
  system: z
    .object({
      Caption: text,
      Version: text,
      TotalVisibleMemorySize: number,
      FreePhysicalMemory: number,
    })
    .nullish(),
  page: listOf({ AllocatedBaseSize: number, CurrentUsage: number }),
  computer: z.object({ Manufacturer: text, Model: text, HypervisorPresent: z.boolean().nullish() }).nullish(),
  bios: z
    .object({
      Manufacturer: text,
      SMBIOSBIOSVersion: text,
      // Windows PowerShell 5.1 writes /Date(ms)/, PowerShell 7 an ISO string.
      ReleaseDate: text,
    })
    .nullish(),
  battery: listOf({ BatteryStatus: number }),
  microcode: z.array(z.number()).nullish(),
});
export type CimDocument = z.infer<typeof cimSchema>;

/** Reads the JSON document of the PowerShell script in `sources.ts`. */
export function parseCim(output: Fact<string>): Fact<CimDocument> {
  return readFrom(
    output,
    '',
    (json) => {
      try {
        return cimSchema.safeParse(JSON.parse(json)).data;
      } catch {
        return undefined;
      }
    },
    'is not the JSON document that was asked for',
  );
}

/** A date as Windows PowerShell 5.1 (`/Date(1710460800000)/`) or PowerShell 7 writes it, as year-month-day. */
export function parseCimDate(date: string): string | undefined {
  const milliseconds = /^\/Date\((\d+)[+-]?\d*\)\/$/.exec(date)?.[1];
  const time = milliseconds === undefined ? Date.parse(date) : Number(milliseconds);
  return Number.isNaN(time) ? undefined : new Date(time).toISOString().slice(0, 10);
}
