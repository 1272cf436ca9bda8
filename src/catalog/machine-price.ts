import type { MachineRecord } from './machine-record.ts';

export type MachinePrice = MachineRecord['prices'][number];

/**
 * The price that was seen last of the whole machine, not of a board or card of it; null where none is known. Prices
 * without a date count as the oldest.
 */
export function latestPrice(machine: MachineRecord): MachinePrice | null {
  return (
    machine.prices
      .filter((price) => price.for === 'machine')
      .toSorted((a, b) => (b.date ?? '').localeCompare(a.date ?? ''))[0] ?? null
  );
}
