/** The face of `predict`: what can be said about speeds that were not measured. */
export { checkExtrapolation, fitPowerLaw, performanceAt, powerReading, scaleByPower } from './power-law.ts';
export type {
  ExtrapolationCheck,
  PowerLaw,
  PowerLawResult,
  PowerPrediction,
  PowerReading,
  PowerTarget,
} from './power-law.ts';
