import type { Configuration } from './configuration.ts';
import type { Age, Parameters } from './parameters.ts';

/** The first and the last day (since 1970) of which the fit has seen measurements. */
export type SeenDays = Readonly<Record<string, readonly [first: number, last: number]>>;

/**
 * What the builds of measurements are known by, the closest first: the device with the backend and the kernels of the
 * model, the device with the backend, the backend and the kernels, the backend.
 */
export function buildKeys({ device, backend, work }: Configuration): readonly string[] {
  const { family } = backend;
  const kernels = work.experts === null ? 'dense' : 'experts';
  return [`${device.id} ${family} ${kernels}`, `${device.id} ${family}`, `${family} ${kernels}`, family];
}

/** Days by which a build is newer than what the fit has seen of its kind; negative: older; 0: within, or not stated. */
export function daysBeyond(seen: SeenDays, configuration: Configuration): number {
  const { day } = configuration;
  if (day === null) return 0;
  const key = buildKeys(configuration).find((each) => seen[each] !== undefined);
  const [first, last] = (key === undefined ? undefined : seen[key]) ?? [day, day];
  return day < first ? day - first : Math.max(0, day - last);
}

/** How much farther measurements of such builds lie from their predictions, in log units of speed. */
export interface Drift {
  /** Towards what the years have brought: slower for older builds, faster for newer ones. */
  readonly down: number;
  readonly up: number;
}
const NO_DRIFT: Drift = { down: 0, up: 0 };

/** The entry of `ages` for a build that lies so far beyond what was seen; null: it does not. */
export function ageOf(ages: Parameters['ages'], cell: string, days: number): Age | null {
  const distance = Math.abs(days);
  let found: Age | null = null;
  for (const age of ages) {
    if (age.cell !== cell || distance < age.fromDays) continue;
    if (found === null || age.fromDays > found.fromDays) found = age;
  }
  return found;
}

export function driftOf(ages: Parameters['ages'], cell: string, days: number, coverage: 80 | 90): Drift {
  const age = ageOf(ages, cell, days);
  if (age === null || days === 0) return NO_DRIFT;
  const onward = coverage === 80 ? age.onward80 : age.onward90;
  const back = coverage === 80 ? age.back80 : age.back90;
  return days < 0 ? { down: onward, up: back } : { down: back, up: onward };
}
