/** The host face of `machine`: what touches this computer. */
export { gatherMachine } from './gather.ts';
export { hashState } from './state-hash.ts';
