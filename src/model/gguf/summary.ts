import { bytes, type Bytes } from '../../units/index.ts';
import { elementCount } from '../ggml-types.ts';
import { mixOfFileType, type MixName } from '../mixes.ts';
import type { GgufHeader } from './parse-header.ts';

/** What a header says about the model in the file; null where it says nothing. */
export interface ModelSummary {
  readonly architecture: string | null;
  readonly name: string | null;
  readonly layers: number | null;
  readonly contextLength: number | null;
  readonly embeddingLength: number | null;
  /** null for a dense model. */
  readonly expertCount: number | null;
  /** `general.file_type`. */
  readonly fileType: number | null;
  /** The mix that the file type names, where it is one that this project knows. */
  readonly mix: MixName | null;
  /** Weights in this file. */
  readonly parameters: number;
  /** Bytes of weights in this file, as llama-bench reports `model_size`. */
  readonly tensorBytes: Bytes;
  readonly tensorCount: number;
  readonly fileBytes: Bytes;
  /** Files that make up the model; 1 when it is whole. */
  readonly splitCount: number;
}

/** Sums up a header. */
export function summariseHeader(header: GgufHeader): ModelSummary {
  const text = (key: string): string | null => {
    const value = header.metadata.get(key);
    return typeof value === 'string' ? value : null;
  };
  const wholeNumber = (key: string): number | null => {
    const value = header.metadata.get(key);
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
  };
  const architecture = text('general.architecture');
  const ofArchitecture = (key: string): number | null =>
    architecture === null ? null : wholeNumber(`${architecture}.${key}`);
  const fileType = wholeNumber('general.file_type');
  return {
    architecture,
    name: text('general.name'),
    layers: ofArchitecture('block_count'),
    contextLength: ofArchitecture('context_length'),
    embeddingLength: ofArchitecture('embedding_length'),
    expertCount: ofArchitecture('expert_count'),
    fileType,
    mix: fileType === null ? null : mixOfFileType(fileType),
    parameters: header.tensors.reduce((sum, tensor) => sum + elementCount(tensor.dims), 0),
    tensorBytes: bytes(header.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)),
    tensorCount: header.tensors.length,
    fileBytes: header.fileBytes,
    splitCount: wholeNumber('split.count') ?? 1,
  };
}
