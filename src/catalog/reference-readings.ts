import type { DataType } from './architecture-record.ts';
import type { MeasuredQuantity, PublishedReading } from './published-record.ts';

/** What others measured of one quantity on one device. */
export interface ReferenceRange {
  /** In the base unit of the quantity: bytes or FLOP per second. */
  readonly low: number;
  readonly high: number;
  /** How many readings lie behind the range. */
  readonly readings: number;
  /** One entry per source and tool. */
  readonly sources: readonly PublishedReading[];
}

/**
 * The range of published readings of a quantity on a device.
 * @param dataType - for `gemm`; the other quantities have none.
 * @returns null when nobody has published any.
 */
export function referenceRange(
  deviceId: string,
  quantity: MeasuredQuantity,
  published: readonly PublishedReading[],
  dataType?: DataType,
): ReferenceRange | null {
  const sources = published.filter(
    (reading) =>
      reading.device === deviceId && reading.quantity === quantity && reading.dataType === dataType,
  );
  if (sources.length === 0) return null;
  return {
    low: Math.min(...sources.map(({ low }) => low)),
    high: Math.max(...sources.map(({ high }) => high)),
    readings: sources.reduce((sum, { readings }) => sum + readings, 0),
    sources,
  };
}
