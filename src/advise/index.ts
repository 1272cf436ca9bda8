/** The face of `advise`: judgements about a machine and what it shall run. */
export { compareWithEngine } from './engine-comparison.ts';
export type { ComparedFigure, EngineComparison } from './engine-comparison.ts';
export { backendOf, fitModel, fitVerdict, SPARE_SYSTEM_BYTES } from './fit.ts';
export type { Fit, FitRequest, PartialPlacement, ReducedFit, SplitFit } from './fit.ts';
export { llamaFlags } from './llama-flags.ts';
export { budgetOfDevice, budgetOfFacts, budgetOfMachine, budgetOnCores, placedOn } from './memory-budget.ts';
export type { MemoryBudget, MemorySplit } from './memory-budget.ts';
export type { FitVerdict, SharedRemedies } from './shared-fit.ts';
export { turnCost } from './turn-cost.ts';
export type { TurnCost } from './turn-cost.ts';
export { largestSmallerModel } from './smaller-model.ts';
export type { SmallerModel } from './smaller-model.ts';
