/** The face of `catalog`: the records of models and their look-up by name. */
export type { ModelRecord, SourceRecord } from './model-record.ts';
export { resolveModelName } from './model-name.ts';
export type { ModelNameErrorCode, ResolvedModelName } from './model-name.ts';
