import type { CatalogDevice } from './device-record.ts';

/** Whether a model computes on processor cores where no backend is named: a processor, and a board without a GPU of use. */
export function computesOnCores({ kind, units }: Pick<CatalogDevice, 'kind' | 'units'>): boolean {
  return kind === 'cpu' || (kind === 'soc' && units.kind === 'core');
}
