import { TRANSFER_DIRECTIONS } from '../engine/index.ts';
import type { Fact, Telemetry } from '../machine/index.ts';
import { shapeLabel, type GemmResult } from '../measure/index.ts';
import {
  bytes,
  bytesPerSecond,
  flopPerSecond,
  formatBandwidth,
  formatBytes,
  formatFlopPerSecond,
  formatFraction,
  formatSeconds,
  formatSignificant,
  fraction,
} from '../units/index.ts';
import type { ProbeReport, Reference } from './probe-report.ts';
import { rooflineChart } from './roofline-chart.ts';
import { renderSections, type ReportSection } from './sections.ts';

/** The probe for a terminal. */
export function renderProbeText(report: ProbeReport, strong?: (text: string) => string): string {
  return renderSections(
    [
      deviceSection(report),
      bandwidthSection(report),
      ...threadSections(report),
      gemmSection(report),
      transferSection(report),
      rooflineSection(report),
      sensorSection(report),
    ].filter(({ rows, notes }) => rows.length + notes.length > 0),
    strong,
  );
}

function deviceSection({ engine, device, threads, theory, interrupted, notes }: ProbeReport): ReportSection {
  const rows: (readonly [string, string])[] = [
    ['device', `${device.description} (${device.name})`],
    ['engine', `llama.cpp ${engine.version ?? engine.buildCommit} (${engine.id}), threads: ${threads}`],
  ];
  if ('missing' in theory) {
    rows.push(['datasheet', `unknown: ${theory.missing}`]);
  } else {
    const { deviceName, deviceId, chosenBy } = theory.found;
    const named = chosenBy === 'override' ? ', as you named it' : '';
    rows.push(['datasheet', `${deviceName} (ridgepoint devices show ${deviceId})${named}`]);
  }
  return {
    title: 'Probed',
    rows,
    notes: [
      ...(interrupted ? ['Stopped early: this is what was measured until then.'] : []),
      ...wholeProcessor(theory, device, threads),
      ...notes,
    ],
  };
}

/** A datasheet's figures are for all cores; fewer are probed in a virtual machine, or when the user says so. */
function wholeProcessor(
  theory: ProbeReport['theory'],
  { kind }: ProbeReport['device'],
  threads: number,
): string[] {
  if ('missing' in theory || kind !== 'cpu') return [];
  const { count } = theory.found.units;
  if (theory.found.units.kind !== 'core' || count === null || count <= threads) return [];
  return [
    `The datasheet's figures are for all ${count} cores; this probe used ${threads} ${threads === 1 ? 'thread' : 'threads'}.`,
  ];
}

function bandwidthSection({ bandwidth, theory, device }: ProbeReport): ReportSection {
  const title = 'Bandwidth, all threads';
  if ('missing' in bandwidth) return missing(title, bandwidth.missing);
  const rows = bandwidth.found.levels.map(({ name, rates }): readonly [string, string] => [
    name,
    Object.entries(rates)
      .map(([operation, rate]) => `${operation} ${formatBandwidth(rate.value)}`)
      .join(', '),
  ]);
  const memory = bandwidth.found.levels.find(({ name }) => name === 'memory');
  if (memory === undefined) {
    return { title, rows, notes: ['no working set was large enough to stream from memory alone'] };
  }
  const notes: string[] = [];
  if (device.kind !== 'cpu') {
    const largest = Math.max(
      ...bandwidth.found.curves.flatMap(({ points }) => points.map((point) => point.workingSetBytes)),
    );
    notes.push(
      `the caches of this device are not known: memory is its largest set, ${formatBytes(bytes(largest))}`,
    );
  }
  if (device.kind === 'cpu') {
    notes.push(
      'write and triad fetch what they overwrite, which is not counted; so does copy where memcpy does not store past the caches',
    );
  }
  if ('found' in theory) {
    const read = memory.rates.read?.value;
    for (const limit of theory.found.bandwidthsBytesPerSecond) {
      if (read === undefined) continue;
      notes.push(
        `read is ${formatFraction(fraction(read / limit))} of the datasheet's ${formatBandwidth(limit)}`,
      );
    }
  }
  for (const operation of ['read', 'write', 'copy'] as const) {
    const format = (value: number): string => formatBandwidth(bytesPerSecond(value));
    const clause = othersGot(theory, `${operation}-bandwidth`, null, format);
    notes.push(...clause.map((text) => `${operation}: ${text}`));
  }
  return { title, rows, notes };
}

/** How memory bandwidth grows with threads, where more than one count was probed. */
function threadSections({ bandwidth }: ProbeReport): ReportSection[] {
  if ('missing' in bandwidth) return [];
  const { curves } = bandwidth.found;
  const counts = [...new Set(curves.map(({ threads }) => threads))].toSorted((a, b) => a - b);
  if (counts.length < 2) return [];
  const rows = counts.map((threads): readonly [string, string] => [
    `${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    curves
      .filter((curve) => curve.threads === threads)
      .flatMap(({ operation, points }) => {
        const largest = points.toSorted((a, b) => b.workingSetBytes - a.workingSetBytes)[0];
        return largest?.rate ? `${operation} ${formatBandwidth(largest.rate.value)}` : [];
      })
      .join(', '),
  ]);
  return [{ title: 'Largest working set, by threads', rows, notes: [] }];
}

/** What others measured of one thing, as a clause; nothing where nobody has. */
function othersGot(
  theory: ProbeReport['theory'],
  quantity: Reference['quantity'],
  type: string | null,
  format: (value: number) => string,
): string[] {
  if ('missing' in theory) return [];
  const found = theory.found.references.find((each) => each.quantity === quantity && each.type === type);
  return found === undefined ? [] : [`others got ${format(found.low)} to ${format(found.high)}`];
}

function gemmSection({ gemm, theory }: ProbeReport): ReportSection {
  const title = 'Matrix products (MAMF), batch in the middle: M x N x K';
  if ('missing' in gemm) return missing(title, gemm.missing);
  const rows = gemm.found.results.map((result): readonly [string, string] => [
    gemmLabel(result),
    [
      `best ${formatFlopPerSecond(result.best.rate.value)} at ${shapeLabel(result.best.shape)}`,
      `median ${formatFlopPerSecond(result.median)}, geometric mean ${formatFlopPerSecond(result.geometricMean)} of ${result.shapesTimed} ${result.shapesTimed === 1 ? 'shape' : 'shapes'}`,
      ...peakShare(result),
      ...othersGot(theory, 'gemm', result.by === 'ggml' ? result.type : null, (value) =>
        formatFlopPerSecond(flopPerSecond(value)),
      ),
      ...steadyText(result),
    ].join('; '),
  ]);
  return { title, rows, notes: [] };

  function peakShare({ by, type, best }: GemmResult): string[] {
    if (by !== 'ggml' || 'missing' in theory) return [];
    const peak = theory.found.peaks.find((each) => each.type === type);
    if (peak === undefined) return [];
    const share = formatFraction(fraction(best.rate.value / peak.flopPerSecond));
    return [`${share} of the datasheet's ${formatFlopPerSecond(peak.flopPerSecond)}`];
  }
}

const gemmLabel = ({ by, type, environment }: GemmResult): string =>
  [
    by === 'torch' ? `torch ${type}` : type,
    ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
  ].join(' ');

function steadyText({ steady, telemetry }: GemmResult): string[] {
  if (steady === null) return [];
  const sustained =
    steady.sustained === null
      ? `not settled after ${formatSeconds(steady.duration)}`
      : `sustained ${formatFlopPerSecond(steady.sustained)}`;
  const power = telemetry === null ? null : powerOf(telemetry);
  const each =
    power === null || steady.sustained === null
      ? []
      : [`${formatSignificant(steady.sustained / power / 1e9)} GFLOP/s for each watt`];
  return [`boost ${formatFlopPerSecond(steady.boost)}, ${sustained}`, ...each];
}

/** Of the GPU where it is read, else of the processor. */
function powerOf({ gpuPowerWatts, cpuPowerWatts }: Telemetry): number | null {
  if (gpuPowerWatts.known) return gpuPowerWatts.value.mean;
  return cpuPowerWatts.known ? cpuPowerWatts.value : null;
}

function transferSection({ transfer, device, theory }: ProbeReport): ReportSection {
  const title = 'Transfers between host and device';
  if ('missing' in transfer) return missing(title, transfer.missing);
  const { curves } = transfer.found;
  const rows = curves.map(({ direction, memory, points }): readonly [string, string] => {
    const rated = points.flatMap(({ rate, sizeBytes }) => (rate === null ? [] : [{ rate, sizeBytes }]));
    const [best] = rated.toSorted((a, b) => b.rate.value - a.rate.value);
    const largest = rated.at(-1);
    const smallest = points[0];
    return [
      `${direction}, ${memory}`,
      best === undefined || largest === undefined
        ? 'nothing was timed'
        : [
            `${formatBandwidth(largest.rate.value)} at ${formatBytes(largest.sizeBytes)}`,
            `best ${formatBandwidth(best.rate.value)} at ${formatBytes(best.sizeBytes)}`,
            ...(smallest?.seconds
              ? [`${formatSeconds(smallest.seconds)} for ${formatBytes(smallest.sizeBytes)}`]
              : []),
          ].join(', '),
    ];
  });
  const quantities = { 'to-device': 'host-to-device', 'from-device': 'device-to-host' } as const;
  const notes = [
    ...TRANSFER_DIRECTIONS.flatMap((direction) =>
      othersGot(theory, quantities[direction], null, (value) => formatBandwidth(bytesPerSecond(value))).map(
        (clause) => `${direction}: ${clause}`,
      ),
    ),
    ...(curves.some(({ memory }) => memory === 'pinned')
      ? []
      : ['This device has no pinned memory on the host, so only pageable memory was timed.']),
    ...(device.kind === 'cpu' ? ['The device is the host: this is one thread copying within memory.'] : []),
  ];
  return { title, rows, notes };
}

function rooflineSection({ roofline }: ProbeReport): ReportSection {
  const title = 'Roofline';
  if ('missing' in roofline) return missing(title, roofline.missing);
  const ridges = roofline.found.ridges
    .map(({ roof, flopPerByte }) => `${roof} ${formatSignificant(flopPerByte)}`)
    .join(', ');
  const notes = [...rooflineChart(roofline.found), `ridge points, FLOP/byte: ${ridges}`];
  if (roofline.found.points.length === 0) {
    notes.push('No model has been measured in this state of the machine: ridgepoint check adds its points.');
  }
  return { title, rows: [], notes };
}

/** What the sensors said while the probes ran; a missing sensor is named with the reason. */
function sensorSection({ telemetry, device }: ProbeReport): ReportSection {
  const title = 'While it was measured';
  if (telemetry === null) return missing(title, 'no process could be watched');
  const spread = (unit: string, scale: number) => (value: { low: number; mean: number; high: number }) =>
    `${formatSignificant(value.low * scale)} to ${formatSignificant(value.high * scale)} ${unit}, mean ${formatSignificant(value.mean * scale)}`;
  const isCpu = device.kind === 'cpu';
  const rows: [string, string][] = isCpu
    ? [
        ['power', factText(telemetry.cpuPowerWatts, (watts) => `${formatSignificant(watts)} W, mean`)],
        ['clock', factText(telemetry.cpuClockHertz, spread('GHz', 1e-9))],
        ['temperature', factText(telemetry.cpuTemperatureCelsius, spread('°C', 1))],
      ]
    : [
        ['power', factText(telemetry.gpuPowerWatts, spread('W', 1))],
        ['clock', factText(telemetry.gpuClockHertz, spread('GHz', 1e-9))],
        ['temperature', factText(telemetry.gpuTemperatureCelsius, spread('°C', 1))],
      ];
  rows.push([
    'throttling',
    factText(telemetry.throttleIncrements, (grown) => {
      const names = Object.entries(grown).filter(([, increment]) => increment > 0);
      return names.length === 0 ? 'no counter grew' : names.map(([name, by]) => `${name} +${by}`).join(', ');
    }),
  ]);
  rows.push([
    'other programs',
    factText(telemetry.otherCpuShare, (share) => `${formatFraction(share)} of the processors`),
  ]);
  return { title, rows, notes: [] };
}

function factText<T>(fact: Fact<T>, format: (value: T) => string): string {
  return fact.known ? format(fact.value) : `unknown (${fact.source}: ${fact.reason})`;
}

const missing = (title: string, reason: string): ReportSection =>
  reason === 'was not asked for'
    ? { title, rows: [], notes: [] }
    : { title, rows: [], notes: [`not measured: ${reason}`] };
