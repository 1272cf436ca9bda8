import { bytesPerSecond, type BytesPerSecond } from '../units/index.ts';
import type { CatalogDevice } from './device-record.ts';

const BITS_PER_BYTE = 8;
const TRANSFERS_PER_MEGATRANSFER = 1e6;

/** A memory bandwidth worked out from the bus: width / 8 x data rate. */
export interface DerivedBandwidth {
  readonly basis: 'derived';
  readonly busBits: number;
  /** The width was itself computed from a published bandwidth. */
  readonly busWidthImplied: boolean;
  readonly memoryType: string | null;
  readonly dataRateMegatransfersPerSecond: number;
  readonly bytesPerSecond: BytesPerSecond;
}

/** A memory bandwidth that a source states, where bus or data rate are not published. */
export interface StatedBandwidth {
  readonly basis: 'stated';
  readonly bytesPerSecond: BytesPerSecond;
  readonly source: string;
}

/**
 * The theoretical memory bandwidths of a device, slowest first. One, as a rule; several, where the modules that are
 * fitted decide; none, where nothing is published.
 */
export function bandwidthsOf(device: CatalogDevice): (DerivedBandwidth | StatedBandwidth)[] {
  const { memory } = device;
  const { busBits } = memory;
  if (busBits !== null) {
    const rates =
      memory.modules ??
      (memory.dataRateMegatransfersPerSecond === null
        ? []
        : [{ type: memory.type, dataRateMegatransfersPerSecond: memory.dataRateMegatransfersPerSecond }]);
    if (rates.length > 0) {
      return rates
        .map((rate) => ({
          basis: 'derived' as const,
          busBits,
          busWidthImplied: memory.busWidthImplied ?? false,
          memoryType: rate.type,
          dataRateMegatransfersPerSecond: rate.dataRateMegatransfersPerSecond,
          bytesPerSecond: bytesPerSecond(
            (busBits / BITS_PER_BYTE) * rate.dataRateMegatransfersPerSecond * TRANSFERS_PER_MEGATRANSFER,
          ),
        }))
        .sort((a, b) => a.bytesPerSecond - b.bytesPerSecond);
    }
  }
  const agreed = memory.stated.find((stated) => stated.differs === undefined);
  return agreed === undefined
    ? []
    : [
        {
          basis: 'stated',
          bytesPerSecond: bytesPerSecond(agreed.bandwidthBytesPerSecond),
          source: agreed.source,
        },
      ];
}

/** The theoretical bandwidth with the fastest modules that the device takes; null, where nothing is published. */
export function bandwidthOf(device: CatalogDevice): DerivedBandwidth | StatedBandwidth | null {
  return bandwidthsOf(device).at(-1) ?? null;
}
