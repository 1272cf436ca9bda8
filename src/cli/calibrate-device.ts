import { matchCatalogue, valueOf, type MachineFacts } from '../machine/index.ts';
import { readDeviceRecords } from '../catalog/host/index.ts';
import type { CatalogDevice } from '../catalog/index.ts';
import { EngineFailure, type EngineProbe } from '../engine/index.ts';
import { ceilingProducts, ratesByType, type Product, type TimedRound } from '../measure/index.ts';
import type { GgmlTypeName } from '../model/index.ts';
import { ownDeviceId, type OwnDevice } from '../predict/index.ts';

/** The part of a machine that computes. */
export interface ComputingPart {
  readonly unit: 'cpu' | 'gpu';
  /** As the machine calls it. */
  readonly name: string;
  readonly vendor: string;
  readonly integrated: boolean;
  readonly memoryBytes: number | null;
  /** Its entry in the catalogue; null: there is none, or the machine has only some of its cores. */
  readonly listed: CatalogDevice | null;
}

/** The processor, or the first GPU. Null: the facts do not even name it. */
export function computingPart(facts: MachineFacts, unit: 'cpu' | 'gpu'): ComputingPart | null {
  const match = matchCatalogue(facts, readDeviceRecords()).find(({ part }) => part === unit);
  if (match === undefined || match.seen === '') return null;
  // A virtual machine with some of a processor's cores has some of its bandwidth and peaks: nobody publishes which.
  const isWhole = unit === 'gpu' || match.evidence.every(({ agrees }) => agrees);
  return {
    unit,
    name: match.seen,
    ...partDetails(facts, unit),
    listed: isWhole ? match.device : null,
  };
}

/** What the facts say of a part besides its name. */
export function partDetails(
  facts: MachineFacts,
  unit: 'cpu' | 'gpu',
): Pick<ComputingPart, 'vendor' | 'integrated' | 'memoryBytes'> {
  const gpu = unit === 'gpu' ? (valueOf(facts.gpus) ?? [])[0] : undefined;
  const integrated = gpu !== undefined && valueOf(gpu.integrated) === true;
  const vendor = gpu === undefined ? valueOf(facts.cpu.vendor) : valueOf(gpu.vendor);
  const memory =
    gpu === undefined || integrated ? valueOf(facts.memory.totalBytes) : valueOf(gpu.memoryTotalBytes);
  return { vendor: vendorName(vendor ?? ''), integrated, memoryBytes: memory ?? null };
}

/** The names that processors give for their vendors (CPUID leaf 0), as the catalogue writes them. */
const CPU_VENDORS: Readonly<Record<string, string>> = {
  AuthenticAMD: 'amd',
  GenuineIntel: 'intel',
};

const vendorName = (name: string): string => CPU_VENDORS[name] ?? name.toLowerCase();

/** Each product goes on for so long: dozens of repetitions, and all types twice within half a minute. */
const PRODUCT_MILLISECONDS = 250;

/** Times the engine's own products with every type of weights that it can multiply. */
export async function timeRound(
  probe: EngineProbe,
  threads: number,
  lastLevelCacheBytes: Parameters<typeof ceilingProducts>[0],
  types: readonly GgmlTypeName[],
  signal: AbortSignal,
): Promise<TimedRound> {
  const timed: { product: Product; samplesNanoseconds: TimedRound[number]['samplesNanoseconds'] }[] = [];
  let refusal: EngineFailure | null = null;
  for (const product of ceilingProducts(lastLevelCacheBytes, types)) {
    signal.throwIfAborted();
    try {
      const request = { ...product, device: null, threads, milliseconds: PRODUCT_MILLISECONDS };
      timed.push({ product, samplesNanoseconds: await probe.multiply(request) });
    } catch (error) {
      signal.throwIfAborted();
      // A backend that lacks a type has no rate for it; the type most like it stands in.
      if (!(error instanceof EngineFailure)) throw error;
      refusal = error;
    }
  }
  if (timed.length === 0 && refusal !== null) throw refusal;
  return timed;
}

/** The device of a machine that is in no catalogue, from what its products reached. */
export function ownDevice(part: ComputingPart, backend: string, rounds: readonly TimedRound[]): OwnDevice {
  const { types, fastestBytesPerSecond, fastestFlopPerSecond } = ratesByType(rounds);
  return {
    id: ownDeviceId(part.name),
    name: part.name,
    backend,
    unit: part.unit,
    vendor: part.vendor,
    integrated: part.integrated,
    memoryBytes: part.memoryBytes,
    measuredAt: new Date().toISOString(),
    fastestBytesPerSecond,
    fastestFlopPerSecond,
    types: [...types],
  };
}
