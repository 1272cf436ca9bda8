import {
  bytesPerSecond,
  flopPerSecond,
  fraction,
  type BytesPerSecond,
  type FlopPerSecond,
  type Fraction,
} from '../units/index.ts';
import type { Citation, DataType } from './architecture-record.ts';
import { bandwidthsOf, type DerivedBandwidth, type StatedBandwidth } from './bandwidth.ts';
import type { CatalogDevice } from './device-record.ts';
import type { SourceRecord } from './model-record.ts';
import {
  derivePeaks,
  precisionSupport,
  type Accumulate,
  type DerivedPeak,
  type ExecutedOn,
  type PrecisionSupport,
} from './peaks.ts';
import type { MeasuredQuantity, PublishedReading } from './published-record.ts';
import { referenceRange, type ReferenceRange } from './reference-readings.ts';

/** How a stated figure compares with the one that was derived. */
interface Comparison {
  readonly source: string;
  /** By how much the derived figure exceeds the stated one; null, where none can be derived. */
  readonly derivedExcess: Fraction | null;
  /** Why they differ by more than 2 %; null, where they agree. */
  readonly reason: string | null;
}

export interface BandwidthComparison extends Comparison {
  readonly statedBytesPerSecond: BytesPerSecond;
}

export interface PeakComparison extends Comparison {
  readonly dataType: DataType;
  readonly accumulate: Accumulate;
  readonly on: ExecutedOn;
  readonly statedFlopPerSecond: FlopPerSecond;
}

/** Everything that the catalogue can say of a device and why. */
export interface DeviceExplanation {
  readonly device: CatalogDevice;
  readonly bandwidths: readonly (DerivedBandwidth | StatedBandwidth)[];
  readonly statedBandwidths: readonly BandwidthComparison[];
  readonly precision: Record<DataType, PrecisionSupport>;
  readonly statedPeaks: readonly PeakComparison[];
  readonly measured: readonly {
    readonly quantity: MeasuredQuantity;
    readonly dataType: DataType | null;
    readonly range: ReferenceRange;
  }[];
  readonly sources: readonly CitedSource[];
}

export interface CitedSource {
  readonly title: string;
  readonly licence: string;
  /** Null, where the work has no public address. */
  readonly url: string | null;
  readonly path: string | null;
  readonly revision: string | null;
  /** What was taken from it. */
  readonly fields: readonly string[];
}

/** Works out the figures of a device and sets them beside what sources state and what others measured. */
export function explainDevice(
  device: CatalogDevice,
  published: readonly PublishedReading[],
  sources: readonly SourceRecord[],
): DeviceExplanation {
  const bandwidths = bandwidthsOf(device);
  const peaks = derivePeaks(device);
  return {
    device,
    bandwidths,
    statedBandwidths: device.memory.stated.map((stated) => ({
      statedBytesPerSecond: bytesPerSecond(stated.bandwidthBytesPerSecond),
      source: stated.source,
      derivedExcess: nearestExcess(bandwidths, stated.bandwidthBytesPerSecond),
      reason: stated.differs ?? null,
    })),
    precision: precisionSupport(device),
    statedPeaks: device.statedPeaks.map((stated) => ({
      dataType: stated.dataType,
      accumulate: stated.accumulate,
      on: stated.on,
      statedFlopPerSecond: flopPerSecond(stated.flopPerSecond),
      source: stated.source,
      derivedExcess: excess(matching(peaks, stated)?.flopPerSecond, stated.flopPerSecond),
      reason: stated.differs ?? null,
    })),
    measured: measuredOn(device.id, published),
    sources: citedSources(device, sources),
  };
}

function matching(
  peaks: readonly DerivedPeak[],
  stated: Pick<DerivedPeak, 'dataType' | 'accumulate' | 'on'>,
): DerivedPeak | undefined {
  return peaks.find(
    (peak) =>
      peak.dataType === stated.dataType && peak.accumulate === stated.accumulate && peak.on === stated.on,
  );
}

/** With several kinds of modules a source means the one whose bandwidth is nearest to what it states. */
function nearestExcess(
  bandwidths: readonly (DerivedBandwidth | StatedBandwidth)[],
  stated: number,
): Fraction | null {
  const found = bandwidths
    .filter(({ basis }) => basis === 'derived')
    .map(({ bytesPerSecond }) => bytesPerSecond / stated - 1)
    .sort((a, b) => Math.abs(a) - Math.abs(b))[0];
  return found === undefined ? null : fraction(found);
}

function excess(derived: number | undefined, stated: number): Fraction | null {
  return derived === undefined ? null : fraction(derived / stated - 1);
}

function measuredOn(id: string, published: readonly PublishedReading[]): DeviceExplanation['measured'] {
  const keys = new Map(
    published
      .filter((reading) => reading.device === id)
      .map((reading) => [`${reading.quantity} ${reading.dataType ?? ''}`, reading]),
  );
  return [...keys.values()].flatMap(({ quantity, dataType }) => {
    const range = referenceRange(id, quantity, published, dataType);
    return range === null ? [] : [{ quantity, dataType: dataType ?? null, range }];
  });
}

function citedSources(device: CatalogDevice, sources: readonly SourceRecord[]): CitedSource[] {
  const byId = new Map(sources.map((source) => [source.id, source]));
  const cite = (citation: Citation, fields: readonly string[]): CitedSource => {
    const work = byId.get(citation.id);
    return {
      title: work?.title ?? citation.id,
      licence: work?.licence ?? 'facts only',
      url: citation.url ?? work?.url ?? null,
      path: citation.path ?? null,
      revision: citation.revision ?? null,
      fields,
    };
  };
  return [
    ...device.sources.map((source) => cite(source, source.fields)),
    ...device.architecture.sources.map((source) => cite(source, ['operations per clock'])),
  ];
}
