/** The face of `report`: records as people and other programs read them. */
export { LLAMA_BENCH_FORMATS, renderLlamaBench } from './llama-bench-formats.ts';
export type { LlamaBenchFormat } from './llama-bench-formats.ts';
export type { LlamaBenchMarkdownOptions } from './llama-bench-markdown.ts';
export { testName } from './test-name.ts';
export { renderRecordTable } from './record-table.ts';
export type { TablePalette } from './record-table.ts';
export { buildCheckReport } from './check-report.ts';
export type { CheckReport, CheckRun } from './check-report.ts';
export { renderCheckMarkdown, renderCheckText } from './check-text.ts';
export { FIT_BAR_KEY, fitBar, fitRows, fitSentence, splitRows } from './fit-text.ts';
export type { FitRow, SplitRow } from './fit-text.ts';
export { explainDeviceText } from './device-text.ts';
export type { TextSection } from './device-text.ts';
export { answerPower, powerAnswerLines } from './power-answer.ts';
export type { KnownErrors, PowerAnswer } from './power-answer.ts';
