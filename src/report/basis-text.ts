import type { Basis } from '../predict/index.ts';

/** What stands behind a prediction, for people. */
export const BASIS_MEANINGS: Readonly<Record<Basis, string>> = {
  calibrated: 'predicted, and corrected by measurements of this machine',
  'measured-ceilings': 'predicted from single products that were measured on this machine',
  'measured-elsewhere': 'predicted, with what others measured on such a device with such a backend',
  datasheet: 'predicted from bandwidth and peaks; of such a device no measurement was learned from',
  physics: 'predicted for GPU and processor together, which no measurement has corrected',
};

/** A line for each basis that a table uses. */
export function basisLegend(bases: Iterable<Basis>): string[] {
  return [...new Set(bases)].map((basis) => `${basis}: ${BASIS_MEANINGS[basis]}`);
}
