import {
  bandwidthsOf,
  peakOf,
  referenceRange,
  type DataType,
  type MeasuredQuantity,
  type PublishedReading,
} from '../catalog/index.ts';
import type { EngineDescription, EngineDevice } from '../engine/index.ts';
import { mergeTelemetry, type CatalogueMatch, type MachineFacts, type Telemetry } from '../machine/index.ts';
import {
  bandwidthCurves,
  bandwidthLevels,
  gemmResults,
  roofline,
  transferCurves,
  type BandwidthCurve,
  type BandwidthLevel,
  type CacheLevel,
  type GemmResult,
  type MeasuredSpeed,
  type ProbePart,
  type ProbeReading,
  type Roofline,
  type TransferCurve,
} from '../measure/index.ts';
import type { BytesPerSecond, FlopPerSecond, Seconds } from '../units/index.ts';
import type { Finding } from './check-report.ts';

/** Fields are added, never changed, within a major version. */
const PROBE_REPORT_SCHEMA_VERSION = 1;

/** What others measured on the same device, in bytes or operations per second. */
export interface Reference {
  readonly quantity: MeasuredQuantity;
  /** ggml's name of it; null for what has no type. */
  readonly type: string | null;
  readonly low: number;
  readonly high: number;
  readonly readings: number;
}

/** What the datasheet says, as the catalogue derives it, and what others measured. */
export interface TheoreticalRoof {
  readonly deviceId: string;
  readonly deviceName: string;
  /** `override`: the user named the entry. */
  readonly chosenBy: CatalogueMatch['chosenBy'];
  /** What the figures are for: all cores, CUs or SMs of the device. */
  readonly units: { readonly kind: string; readonly count: number | null };
  readonly peaks: readonly { readonly type: string; readonly flopPerSecond: FlopPerSecond }[];
  /** Slowest first: which modules are fitted decides. */
  readonly bandwidthsBytesPerSecond: readonly BytesPerSecond[];
  readonly references: readonly Reference[];
}

/** The one document of a probe. */
export interface ProbeReport {
  readonly schemaVersion: number;
  readonly kind: 'ridgepoint-probe';
  readonly createdAt: string;
  readonly ridgepointVersion: string;
  readonly machine: MachineFacts;
  readonly engine: EngineDescription;
  readonly device: EngineDevice;
  readonly threads: number;
  readonly bandwidth: Finding<{
    readonly levels: readonly BandwidthLevel[];
    readonly curves: readonly BandwidthCurve[];
  }>;
  readonly gemm: Finding<{ readonly results: readonly GemmResult[] }>;
  readonly transfer: Finding<{ readonly curves: readonly TransferCurve[] }>;
  readonly theory: Finding<TheoreticalRoof>;
  readonly roofline: Finding<Roofline>;
  /** Over all timed windows together; null when nothing could be watched. */
  readonly telemetry: Telemetry | null;
  /** What could not be done, and why. */
  readonly notes: readonly string[];
  /** true: stopped before its end; what is shown is kept. */
  readonly interrupted: boolean;
  readonly recordsFile: string;
  readonly durationSeconds: Seconds;
}

export interface ProbeFacts extends Omit<
  ProbeReport,
  'schemaVersion' | 'kind' | 'bandwidth' | 'gemm' | 'transfer' | 'theory' | 'roofline' | 'telemetry'
> {
  readonly parts: readonly ProbePart[];
  readonly readings: readonly ProbeReading[];
  /** Of the device, smallest first; empty where they are unknown. */
  readonly caches: readonly CacheLevel[];
  /** null: the machine says nothing of such a device. */
  readonly catalogueMatch: CatalogueMatch | null;
  /** Of any device. */
  readonly published: readonly PublishedReading[];
  readonly speeds: readonly MeasuredSpeed[];
}

/** Types whose products a datasheet's peak stands for. */
const PEAK_TYPES: readonly (readonly [type: string, dataType: DataType])[] = [
  ['F16', 'fp16'],
  ['BF16', 'bf16'],
  ['Q8_0', 'int8'],
];

const REFERENCES: readonly {
  readonly quantity: MeasuredQuantity;
  readonly type: string | null;
  readonly dataType?: DataType;
}[] = [
  { quantity: 'read-bandwidth', type: null },
  { quantity: 'write-bandwidth', type: null },
  { quantity: 'copy-bandwidth', type: null },
  { quantity: 'host-to-device', type: null },
  { quantity: 'device-to-host', type: null },
  ...PEAK_TYPES.map(([type, dataType]) => ({ quantity: 'gemm' as const, type, dataType })),
];

/** Judges what a probe has read. Pure: the same readings give the same report. */
export function buildProbeReport(facts: ProbeFacts): ProbeReport {
  const { parts, readings, caches, catalogueMatch, published, speeds, ...shown } = facts;
  const curves = bandwidthCurves(readings);
  const levels = bandwidthLevels(curves, facts.threads, caches);
  const results = gemmResults(readings);
  const transfers = transferCurves(readings);
  const part = <T>(name: ProbePart, isThere: boolean, content: T): Finding<T> => {
    if (isThere) return { found: content };
    if (!parts.includes(name)) return { missing: 'was not asked for' };
    const failure = readings.find(
      ({ subject, failure: own }) => own !== null && PART_OF[subject.kind] === name,
    );
    return { missing: failure?.failure?.sentence ?? 'was not reached' };
  };
  return {
    schemaVersion: PROBE_REPORT_SCHEMA_VERSION,
    kind: 'ridgepoint-probe',
    ...shown,
    bandwidth: part('bandwidth', curves.length > 0, { levels, curves }),
    gemm: part('gemm', results.length > 0, { results }),
    transfer: part('transfer', transfers.length > 0, { curves: transfers }),
    theory: theoryOf(catalogueMatch, published),
    roofline: rooflineOf(results, levels, speeds),
    telemetry: readings
      .flatMap(({ subject, telemetry }) => (subject.kind === 'part' ? (telemetry ?? []) : []))
      .reduce<Telemetry | null>((all, one) => (all === null ? one : mergeTelemetry(all, one)), null),
  };
}

const PART_OF: Readonly<Record<ProbeReading['subject']['kind'], ProbePart | null>> = {
  stream: 'bandwidth',
  matmul: 'gemm',
  transfer: 'transfer',
  part: null,
  end: null,
};

function theoryOf(
  match: CatalogueMatch | null,
  published: readonly PublishedReading[],
): Finding<TheoreticalRoof> {
  if (match === null || match.device === null) {
    const reason =
      match === null
        ? 'the machine does not say what this device is'
        : `the catalogue has no entry called '${match.seen}'`;
    return { missing: `${reason}; --datasheet names one (ridgepoint devices lists them)` };
  }
  const { device, chosenBy } = match;
  const peaks = PEAK_TYPES.flatMap(([type, dataType]) => {
    const peak = peakOf(device, dataType);
    return peak === null ? [] : [{ type, flopPerSecond: peak.flopPerSecond }];
  });
  return {
    found: {
      deviceId: device.id,
      deviceName: device.name,
      chosenBy,
      units: device.units,
      peaks,
      bandwidthsBytesPerSecond: bandwidthsOf(device).map(({ bytesPerSecond }) => bytesPerSecond),
      references: REFERENCES.flatMap(({ quantity, type, dataType }) => {
        const range = referenceRange(device.id, quantity, published, dataType);
        if (range === null) return [];
        const { low, high, readings } = range;
        return [{ quantity, type, low, high, readings }];
      }),
    },
  };
}

function rooflineOf(
  results: readonly GemmResult[],
  levels: readonly BandwidthLevel[],
  speeds: readonly MeasuredSpeed[],
): Finding<Roofline> {
  if (results.length === 0) return { missing: 'it needs the gemm probe' };
  if (!levels.some(({ name }) => name === 'memory')) return { missing: 'it needs the bandwidth probe' };
  return { found: roofline(results, levels, speeds) };
}
