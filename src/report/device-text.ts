import type {
  Accumulate,
  CatalogDevice,
  DataType,
  DerivedPeak,
  DeviceExplanation,
  RateCondition,
  StatedPeak,
} from '../catalog/index.ts';
import {
  bytes,
  bytesPerSecond,
  formatBandwidth,
  formatBytes,
  formatFraction,
  formatSignificant,
  fraction,
} from '../units/index.ts';

/** One block of the explanation: a heading and its lines. */
export interface TextSection {
  readonly title: string;
  readonly lines: readonly string[];
}

const KINDS = {
  'discrete-gpu': 'graphics card',
  'integrated-gpu': 'integrated GPU',
  'apple-soc': 'GPU of an Apple chip',
  soc: 'system on a chip',
  cpu: 'processor',
} as const;

const CONDITIONS: Readonly<Record<RateCondition, string>> = {
  'dual-issue': 'counts dual issue',
  'wmma-or-dual-issue': 'needs WMMA or dual issue (wave32)',
};

/** Explains a device line by line: how each figure is derived, what sources state, and what others measured. */
export function explainDeviceText(explanation: DeviceExplanation): TextSection[] {
  return [
    { title: explanation.device.name, lines: identityLines(explanation) },
    { title: 'Memory', lines: memoryLines(explanation) },
    { title: 'Peak rates, dense', lines: peakLines(explanation) },
    { title: 'What sources state', lines: statedLines(explanation) },
    { title: 'What others measured', lines: measuredLines(explanation) },
    { title: 'Remarks', lines: explanation.device.remarks },
    { title: 'Sources', lines: sourceLines(explanation) },
  ].filter(({ lines }) => lines.length > 0);
}

function identityLines({ device }: DeviceExplanation): string[] {
  const { architecture, units, clockHz, matrixClockHz, target, chip, cpu } = device;
  const named = [device.vendor, KINDS[device.kind], architecture.name, target, chip].filter(
    (part) => part !== null,
  );
  const lines = [`${device.id}: ${named.join(', ')}`];
  const count = units.count === null ? `number of ${units.kind}s unknown` : `${units.count} ${units.kind}s`;
  const clock = clockHz === null ? 'clock not published' : `up to ${gigahertz(clockHz)}`;
  const implied = device.clockImplied === true ? ' (computed back from a published peak)' : '';
  const matrix = matrixClockHz === null ? '' : `, the matrix units up to ${gigahertz(matrixClockHz)}`;
  lines.push(`${count}, ${clock}${implied}${matrix}${powerText(device)}`);
  if (cpu !== null) lines.push(`processor cores: ${cpu}`);
  if (device.released !== null) lines.push(`released ${device.released}`);
  if (device.launchPriceUsd !== null) lines.push(`launch price ${device.launchPriceUsd} USD`);
  return lines;
}

function powerText({
  tdpWatts,
  configurableTdpWatts: range,
}: Pick<CatalogDevice, 'tdpWatts' | 'configurableTdpWatts'>): string {
  const set = range === undefined ? '' : ` (the maker of the machine sets ${range[0]} to ${range[1]} W)`;
  return tdpWatts === null ? set : `, ${tdpWatts} W${set}`;
}

function memoryLines({ device, bandwidths, statedBandwidths }: DeviceExplanation): string[] {
  const capacities = device.memory.capacityBytes.map((capacity) => formatBytes(bytes(capacity)));
  const lines = capacities.length === 0 ? [] : [capacities.join(', ')];
  for (const bandwidth of bandwidths) {
    const value = formatBandwidth(bandwidth.bytesPerSecond);
    if (bandwidth.basis === 'stated') {
      lines.push(`${value}, as ${bandwidth.source} states; bus width or data rate are not published`);
      continue;
    }
    const type = bandwidth.memoryType === null ? '' : ` (${bandwidth.memoryType})`;
    const implied = bandwidth.busWidthImplied ? '; the bus width is computed back from the bandwidth' : '';
    lines.push(
      `${bandwidth.busBits} bit / 8 x ${bandwidth.dataRateMegatransfersPerSecond} MT/s${type} = ${value}${implied}`,
    );
  }
  if (bandwidths.length === 0) lines.push('bandwidth: unknown, nothing is published');
  for (const { statedBytesPerSecond, source, derivedExcess, reason } of statedBandwidths) {
    if (derivedExcess === null) continue;
    lines.push(
      `stated: ${formatBandwidth(statedBytesPerSecond)} (${source})${difference(derivedExcess, reason)}`,
    );
  }
  for (const share of device.sharedMemory?.largestGpuShare ?? []) {
    const where = share.system === 'any' ? '' : ` on ${share.system}`;
    lines.push(`the GPU can use up to ${formatBytes(bytes(share.bytes))}${where}`);
  }
  const visible = device.sharedMemory?.gpuVisibleBytes;
  if (visible !== undefined) lines.push(`the GPU sees ${formatBytes(bytes(visible))}`);
  return lines;
}

function peakLines({ device, precision }: DeviceExplanation): string[] {
  const lines: string[] = [];
  const silent: string[] = [];
  const absent: string[] = [];
  const unknown: string[] = [];
  for (const [dataType, support] of Object.entries(precision)) {
    const name = dataType.toUpperCase();
    if (support.status === 'rate')
      lines.push(...support.peaks.map((peak) => `${name} ${peakText(peak, device.units.kind)}`));
    else if (support.status === 'not-in-hardware') absent.push(name);
    else if (support.status === 'rate-not-published') silent.push(name);
    else unknown.push(name);
  }
  if (silent.length > 0) lines.push(`${silent.join(', ')}: in hardware, the rate is not known`);
  if (absent.length > 0) lines.push(`${absent.join(', ')}: not in hardware`);
  if (unknown.length > 0) lines.push(`${unknown.join(', ')}: unknown`);
  return lines;
}

function peakText(peak: DerivedPeak | StatedPeak, unit: string): string {
  const how = `on the ${peak.on} units, accumulated in ${peak.accumulate.toUpperCase()}`;
  const value = rate(peak.flopPerSecond, peak.dataType);
  if (peak.basis === 'stated') return `${how}: ${value}, as ${peak.source} states`;
  const product = `${peak.operationsPerClockPerUnit} operations/clock/${unit} x ${peak.units} x ${gigahertz(peak.clockHz)}`;
  const condition =
    peak.condition === null || peak.otherwiseFlopPerSecond === null
      ? ''
      : `; ${CONDITIONS[peak.condition]}, else ${rate(peak.otherwiseFlopPerSecond, peak.dataType)}`;
  return `${how}: ${product} = ${value}${condition}`;
}

function statedLines({ device, statedPeaks }: DeviceExplanation): string[] {
  const peaks = statedPeaks.map(
    ({ dataType, accumulate, statedFlopPerSecond, source, derivedExcess, reason }) => {
      const which = `${dataType.toUpperCase()}${accumulateText(dataType, accumulate)}`;
      const beside =
        derivedExcess === null ? '; nothing to derive it from' : difference(derivedExcess, reason);
      return `${which}: ${rate(statedFlopPerSecond, dataType)} (${source})${beside}`;
    },
  );
  const claims = device.otherClaims.map(
    ({ about, value, source, remark }) => `${claimText(about, value)} (${source}): ${remark}`,
  );
  return [...peaks, ...claims];
}

function accumulateText(dataType: DataType, accumulate: Accumulate): string {
  return dataType.startsWith('int') || accumulate === 'fp32'
    ? ''
    : ` with ${accumulate.toUpperCase()} accumulate`;
}

/** Below this share two figures agree as printed. */
const NO_DIFFERENCE = 0.0005;

function difference(derivedExcess: number, reason: string | null): string {
  const size = Math.abs(derivedExcess);
  if (size < NO_DIFFERENCE) return '';
  const text = `; the derived figure is ${formatFraction(fraction(size))} ${derivedExcess > 0 ? 'above' : 'below'} it`;
  return reason === null ? text : `${text}: ${reason}`;
}

function claimText(
  about: DeviceExplanation['device']['otherClaims'][number]['about'],
  value: number,
): string {
  switch (about) {
    case 'clockHz':
      return `clock ${gigahertz(value)}`;
    case 'tdpWatts':
      return `power ${value} W`;
    case 'capacityBytes':
      return `memory ${formatBytes(bytes(value))}`;
    case 'busBits':
      return `bus width ${value} bit`;
    case 'dataRateMegatransfersPerSecond':
      return `data rate ${value} MT/s`;
    case 'units':
      return `${value} units`;
  }
}

function measuredLines({ measured }: DeviceExplanation): string[] {
  return measured.map(({ quantity, dataType, range }) => {
    const format = (value: number): string =>
      dataType === null ? formatBandwidth(bytesPerSecond(value)) : rate(value, dataType);
    const from = format(range.low);
    const to = format(range.high);
    const span = from === to ? from : `${from} to ${to}`;
    const what = `${quantity.replaceAll('-', ' ')}${dataType === null ? '' : ` ${dataType.toUpperCase()}`}`;
    const tools = [...new Set(range.sources.map((source) => source.with))].join('; ');
    return `${what}: ${span} (${range.readings} reading${range.readings === 1 ? '' : 's'}: ${tools})`;
  });
}

function sourceLines({ sources }: DeviceExplanation): string[] {
  return sources.map(({ title, url, path, revision, fields }) => {
    const place = [url, path, revision?.slice(0, 10)].filter((part) => part !== null && part !== undefined);
    return `${fields.join(', ')}: ${title}${place.length === 0 ? '' : ` <${place.join(' ')}>`}`;
  });
}

/** FLOP for floating point, OP for integers: vendors count them apart. */
function rate(value: number, dataType: DataType): string {
  const unit = dataType.startsWith('int') ? 'OP/s' : 'FLOP/s';
  return value >= 1e12
    ? `${formatSignificant(value / 1e12)} T${unit}`
    : `${formatSignificant(value / 1e9)} G${unit}`;
}

function gigahertz(value: number): string {
  return `${Number((value / 1e9).toFixed(3))} GHz`;
}
