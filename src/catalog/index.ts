/** The face of `catalog`: schemas of the data files and look-up by name. */
export { modelFileSchema, modelRecordSchema, sourcesFileSchema } from './model-record.ts';
export type { ModelRecord, SourceRecord } from './model-record.ts';
export { ModelNameError, findModel, resolveModelName } from './model-name.ts';
export type { ModelNameErrorCode, ResolvedModelName } from './model-name.ts';
