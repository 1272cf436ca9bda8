/** The host face of `model`: local GGUF files, synthetic files and their cache. */
export type { ModelFileErrorCode } from './model-file-error.ts';
export { readGgufHeader, readGgufSummary } from './read-gguf.ts';
export { openSyntheticCache } from './synthetic-cache.ts';
export type { CacheLease, CachedFile, EnsureOptions, SyntheticCache } from './synthetic-cache.ts';
export { shapeHashOf, writeSynthetic } from './write-synthetic.ts';
export type { WriteProgress, WriteSyntheticOptions, WrittenFile } from './write-synthetic.ts';
export { writeSparse } from './write-sparse.ts';
export { readRemoteHeader } from './read-remote.ts';
export { MAX_CONFIG_BYTES, readRemoteConfig } from './read-remote-config.ts';
export { webAccessOf } from './web.ts';
export type { WebAccess } from './web.ts';
export { findHubFile, hubNameOf } from './hugging-face.ts';
export type { HubName } from './hugging-face.ts';
export { isModelAddress, isModelFile, modelFrom } from './model-from.ts';
export type { NamedModel } from './model-from.ts';
