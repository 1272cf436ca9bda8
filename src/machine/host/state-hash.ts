import { createHash } from 'node:crypto';
import { canonicalState, type MachineState } from '../state.ts';

/** Hexadecimal digits of the hash that are kept: 64 bits, enough for the states of every machine that reports. */
const HASH_DIGITS = 16;

/** A short name of a state: equal states, and for all that matters only those, have equal hashes. */
export function hashState(state: MachineState): string {
  return createHash('sha256').update(canonicalState(state)).digest('hex').slice(0, HASH_DIGITS);
}
