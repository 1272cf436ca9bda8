import { matchCatalogue, valueOf, type MachineFacts } from '../machine/index.ts';
import { readDeviceRecords } from '../catalog/host/index.ts';
import type { CatalogDevice } from '../catalog/index.ts';
import { EngineFailure, type EngineProbe } from '../engine/index.ts';
import {
  attentionRates,
  attentionTests,
  ceilingProducts,
  ratesByType,
  sampledRates,
  withSampledRates,
  type TimedAttention,
  type TimedRound,
} from '../measure/index.ts';
import type { GgmlTypeName } from '../model/index.ts';
import { ownDeviceId, type OwnDevice } from '../predict/index.ts';
import { launchOfLayer } from './type-samples.ts';
import type { Nanoseconds } from '../units/index.ts';

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

/** Each product, and each test of attention, goes on for so long: all types take a dozen seconds. */
const TEST_MILLISECONDS = 120;

/** What one round over all that is timed singly found. */
export interface DeviceRound {
  readonly products: TimedRound;
  readonly attention: TimedAttention;
}

/**
 * Times the engine's own products with every type of weights that it can multiply, and on a processor its attention.
 * Each type is timed for a moment only: rounds at several times tell more of a machine that drifts than a long one.
 */
export async function timeRound(
  probe: EngineProbe,
  threads: number,
  lastLevelCacheBytes: Parameters<typeof ceilingProducts>[0],
  types: readonly GgmlTypeName[],
  unit: ComputingPart['unit'],
  signal: AbortSignal,
): Promise<DeviceRound> {
  const common = { device: null, threads, milliseconds: TEST_MILLISECONDS };
  const products = await timeAll(ceilingProducts(lastLevelCacheBytes, types), signal, (product) =>
    probe.multiply({ ...product, ...common }),
  );
  const [refusal] = products.refusals;
  // A backend that lacks a type has no rate for it; the type most like it stands in.
  if (products.timed.length === 0 && refusal !== undefined) throw refusal;
  // A GPU attends with all of its units at once, which a test of this size would not fill.
  const attention = await timeAll(unit === 'cpu' ? attentionTests(lastLevelCacheBytes) : [], signal, (test) =>
    probe.attend({ ...test, ...common }),
  );
  return {
    products: products.timed.map(({ subject, samples }) => ({
      product: subject,
      samplesNanoseconds: samples,
    })),
    attention: attention.timed.map(({ subject, samples }) => ({
      test: subject,
      samplesNanoseconds: samples,
    })),
  };
}

interface Timed<Subject> {
  readonly subject: Subject;
  readonly samples: readonly Nanoseconds[];
}

/** Times what the engine can do of a list; the rest is told. */
async function timeAll<Subject>(
  subjects: readonly Subject[],
  signal: AbortSignal,
  time: (subject: Subject) => Promise<readonly Nanoseconds[]>,
): Promise<{ readonly timed: readonly Timed<Subject>[]; readonly refusals: readonly EngineFailure[] }> {
  const timed: Timed<Subject>[] = [];
  const refusals: EngineFailure[] = [];
  for (const subject of subjects) {
    signal.throwIfAborted();
    try {
      timed.push({ subject, samples: await time(subject) });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof EngineFailure)) throw error;
      refusals.push(error);
    }
  }
  return { timed, refusals };
}

/**
 * The device of a machine that is in no catalogue, from what its products, its attention and layers in each type
 * reached.
 */
export function ownDevice(
  part: ComputingPart,
  backend: string,
  rounds: readonly DeviceRound[],
  samples: Parameters<typeof sampledRates>[0] = [],
): OwnDevice {
  const { types, fastestBytesPerSecond, fastestFlopPerSecond } = ratesByType(
    rounds.map(({ products }) => products),
  );
  const attention = attentionRates(rounds.map((round) => round.attention));
  const own: OwnDevice = {
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
    ...(attention.length === 0
      ? {}
      : {
          attention: attention.map(({ headLength, keyValueHeads, firstHead, furtherHead }) => ({
            headLength,
            keyValueHeads,
            firstHeadSeconds: firstHead,
            furtherHeadSeconds: furtherHead,
          })),
        }),
  };
  if (samples.length === 0) return own;
  return { ...own, types: [...withSampledRates(types, sampledRates(samples, launchOfLayer(own)))] };
}
