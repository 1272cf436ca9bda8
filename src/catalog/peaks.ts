import { flopPerSecond, hertz, type FlopPerSecond, type Hertz } from '../units/index.ts';
import type { ArchitectureRate, DataType, RateCondition } from './architecture-record.ts';
import { DATA_TYPES } from './architecture-record.ts';
import type { CatalogDevice } from './device-record.ts';

export type Accumulate = ArchitectureRate['accumulate'];
export type ExecutedOn = ArchitectureRate['on'];

/** A dense peak worked out from what a unit does in a clock. */
export interface DerivedPeak {
  readonly basis: 'derived';
  readonly dataType: DataType;
  readonly accumulate: Accumulate;
  readonly on: ExecutedOn;
  readonly operationsPerClockPerUnit: number;
  readonly units: number;
  readonly clockHz: Hertz;
  readonly flopPerSecond: FlopPerSecond;
  /** What must hold for this rate, and the rate without it. */
  readonly condition: RateCondition | null;
  readonly otherwiseFlopPerSecond: FlopPerSecond | null;
}

/** A dense peak that a source states, for a device whose units or clock are not published. */
export interface StatedPeak {
  readonly basis: 'stated';
  readonly dataType: DataType;
  readonly accumulate: Accumulate;
  readonly on: ExecutedOn;
  readonly flopPerSecond: FlopPerSecond;
  readonly source: string;
}

/** Every peak that follows from units x operations x clock, in the order of the architecture's table. */
export function derivePeaks(device: CatalogDevice): DerivedPeak[] {
  const { count } = device.units;
  if (count === null) return [];
  return device.architecture.rates.flatMap((rate) => {
    const clock = clockOf(device, rate.on);
    if (clock === null) return [];
    const perOperation = count * clock;
    return [
      {
        basis: 'derived' as const,
        dataType: rate.dataType,
        accumulate: rate.accumulate,
        on: rate.on,
        operationsPerClockPerUnit: rate.operationsPerClockPerUnit,
        units: count,
        clockHz: clock,
        flopPerSecond: flopPerSecond(rate.operationsPerClockPerUnit * perOperation),
        condition: rate.condition ?? null,
        otherwiseFlopPerSecond:
          rate.otherwiseOperationsPerClockPerUnit === undefined
            ? null
            : flopPerSecond(rate.otherwiseOperationsPerClockPerUnit * perOperation),
      },
    ];
  });
}

/** The clock that the peak of a unit is stated at: some vendors clock the matrix unit differently. */
function clockOf(device: CatalogDevice, on: ExecutedOn): Hertz | null {
  const clock = on === 'matrix' ? (device.matrixClockHz ?? device.clockHz) : device.clockHz;
  return clock === null ? null : hertz(clock);
}

/**
 * The highest dense peak for a data type: derived where possible, else stated, else null.
 * @param accumulate - llama.cpp accumulates FP16 and BF16 products in FP32 on most back ends; FP16 accumulation is
 *   twice as fast on GeForce cards and is asked for by name.
 */
export function peakOf(
  device: CatalogDevice,
  dataType: DataType,
  accumulate: Accumulate = dataType.startsWith('int') ? 'int32' : 'fp32',
): DerivedPeak | StatedPeak | null {
  const fits = (peak: { dataType: DataType; accumulate: Accumulate }): boolean =>
    peak.dataType === dataType && peak.accumulate === accumulate;
  const derived = derivePeaks(device).filter(fits);
  if (derived.length > 0) {
    return derived.reduce((best, peak) => (peak.flopPerSecond > best.flopPerSecond ? peak : best));
  }
  const first = device.statedPeaks.find((peak) => fits(peak) && peak.differs === undefined);
  return first === undefined
    ? null
    : {
        basis: 'stated',
        dataType,
        accumulate,
        on: first.on,
        flopPerSecond: flopPerSecond(first.flopPerSecond),
        source: first.source,
      };
}

/** Whether hardware has a number format: with a known rate, without one, not at all, or nobody says. */
export type PrecisionSupport =
  | { readonly status: 'rate'; readonly peaks: readonly (DerivedPeak | StatedPeak)[] }
  | { readonly status: 'rate-not-published' }
  | { readonly status: 'not-in-hardware' }
  | { readonly status: 'unknown' };

/** The support for every number format that the catalogue knows. */
export function precisionSupport(device: CatalogDevice): Record<DataType, PrecisionSupport> {
  const derived = derivePeaks(device);
  const entries = DATA_TYPES.map((dataType): [DataType, PrecisionSupport] => {
    const peaks: (DerivedPeak | StatedPeak)[] = derived.filter((peak) => peak.dataType === dataType);
    if (peaks.length === 0) {
      const stated = peakOf(device, dataType);
      if (stated !== null) peaks.push(stated);
    }
    if (peaks.length > 0) return [dataType, { status: 'rate', peaks }];
    return [dataType, withoutPeak(device, dataType)];
  });
  return Object.fromEntries(entries) as Record<DataType, PrecisionSupport>;
}

function withoutPeak(device: CatalogDevice, dataType: DataType): PrecisionSupport {
  const { rates, supportedWithoutRate, notInHardware } = device.architecture;
  if (notInHardware.includes(dataType)) return { status: 'not-in-hardware' };
  const supported =
    supportedWithoutRate.includes(dataType) || rates.some((rate) => rate.dataType === dataType);
  return { status: supported ? 'rate-not-published' : 'unknown' };
}
