import { bytes, hertz, MIB, watts } from '../../units/index.ts';
import { known, readFrom, unknown, type Fact } from '../fact.ts';
import type { Gpu } from '../facts.ts';
import { parseDecimal } from './lists.ts';
import { pciAddress, pciNumber, pcieTransfers } from './pci.ts';

/**
 * GPUs whose memory is the processor's: nvidia-smi prints no memory for them. Source: NVIDIA, DGX Spark known issues,
 * "nvidia-smi reports memory usage not supported".
 */
const INTEGRATED_NAMES = /\b(GB10|Thor|Orin|Xavier)\b/;

/**
 * Reads `nvidia-smi --query-gpu=... --format=csv` with its header. `[N/A]`, `[Not Supported]` and the like are
 * unknown, in the words of the tool.
 */
export function parseNvidiaSmi(output: Fact<string>): Fact<Gpu[]> {
  return readFrom(
    output,
    '',
    (text) => {
      const [header, ...rows] = text.split(/\r?\n/).filter((line) => line.trim() !== '');
      const names = header?.split(',').map((name) => name.trim().replace(/ \[.*\]$/, '')) ?? [];
      if (!names.includes('name')) return undefined;
      return rows.map((row) =>
        gpuOf(
          names,
          row.split(',').map((cell) => cell.trim()),
        ),
      );
    },
    'is not the table of GPUs that was asked for',
  );
}

function gpuOf(names: readonly string[], cells: readonly string[]): Gpu {
  const cell = (name: string): Fact<string> => {
    const source = `nvidia-smi: ${name}`;
    const value = cells[names.indexOf(name)];
    if (value === undefined || value === '') return unknown('is not in the table', source);
    return /^\[.*\]$/.test(value) ? unknown(`nvidia-smi prints ${value}`, source) : known(value, source);
  };
  const number = (name: string): Fact<number> =>
    // With units a cell reads `8188 MiB`, `115.00 W` or `3105 MHz`.
    readFrom(cell(name), '', (value) => parseDecimal(value.split(' ')[0] ?? ''), 'is not a number');
  const absent = (reason: string, name: string) => unknown(reason, `nvidia-smi: ${name}`);
  const gpuName = cell('name');
  const integrated = gpuName.known && INTEGRATED_NAMES.test(gpuName.value);
  // Such a GPU hangs on no PCIe link; nvidia-smi prints generation 1 and one lane for it.
  const noLink = absent('an integrated GPU has no PCIe link', 'pcie.link');
  return {
    name: gpuName,
    vendor: known('nvidia', 'nvidia-smi'),
    pciId: readFrom(cell('pci.device_id'), '', (text) => {
      // Device id in the upper, vendor id in the lower half: 0x288210DE.
      const match = /^0x([0-9a-f]{4})([0-9a-f]{4})$/i.exec(text);
      const device = pciNumber(match?.[1] ?? '');
      const vendor = pciNumber(match?.[2] ?? '');
      return device === undefined || vendor === undefined ? undefined : `${vendor}:${device}`;
    }),
    pciAddress: readFrom(cell('pci.bus_id'), '', pciAddress),
    integrated: readFrom(gpuName, '', () => integrated),
    driver: known('nvidia', 'nvidia-smi'),
    driverVersion: cell('driver_version'),
    memoryTotalBytes: readFrom(number('memory.total'), '', (mebibytes) => bytes(mebibytes * MIB)),
    visibleMemoryBytes: absent('not asked of nvidia-smi, whose query has no column for it', 'BAR1 size'),
    gttTotalBytes: absent('the NVIDIA driver has no such pool', 'GTT'),
    pcieTransfersPerSecond: integrated
      ? noLink
      : readFrom(number('pcie.link.gen.max'), '', pcieTransfers, 'is no known generation'),
    pcieLanes: integrated ? noLink : number('pcie.link.width.max'),
    coreCount: absent('nvidia-smi does not tell it', 'number of cores'),
    computeCapability: cell('compute_cap'),
    maxClockHertz: readFrom(number('clocks.max.sm'), '', (megahertz) => hertz(megahertz * 1e6)),
    maxMemoryClockHertz: readFrom(number('clocks.max.memory'), '', (megahertz) => hertz(megahertz * 1e6)),
    powerLimitWatts: readFrom(number('power.limit'), '', watts),
    performanceLevel: absent('the NVIDIA driver has no such setting', 'performance level'),
    firmware: absent('nvidia-smi does not tell it', 'firmware'),
    vbios: cell('vbios_version'),
  };
}
