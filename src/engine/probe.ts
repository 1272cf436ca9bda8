import type { Bytes, Nanoseconds } from '../units/index.ts';

/** A matrix product on one device: weights of `rows` x `columns` times `batch` columns of activations. */
export interface MultiplyRequest {
  /** The engine's name of the device; null is its first. */
  readonly device: string | null;
  /** ggml's name of the weights' type, as GGUF spells it: `Q4_K`. */
  readonly type: string;
  /** Rows of the weight matrix (M) and its columns (K); `batch` activations (N) are multiplied with it. */
  readonly rows: number;
  readonly columns: number;
  readonly batch: number;
  readonly threads: number;
  /** How long to go on; a few repetitions are made whatever they take. */
  readonly milliseconds: number;
}

/** Attention of one new token to a filled cache of F16, in some layers that each have a cache of their own. */
export interface AttendRequest {
  readonly device: string | null;
  /** Query heads, and the heads of the cache that they share out evenly. */
  readonly heads: number;
  readonly keyValueHeads: number;
  /** Values of a key, and of a value, of one head. */
  readonly headLength: number;
  /** Tokens in the cache. */
  readonly cells: number;
  readonly layers: number;
  readonly threads: number;
  readonly milliseconds: number;
}

/**
 * What streams through memory: `read` sums up, `write` fills, `copy` copies one array to another, `triad` makes one
 * array of two (two reads and a write, as STREAM's triad and add).
 */
export const STREAM_OPERATIONS = ['read', 'write', 'copy', 'triad'] as const;
export type StreamOperation = (typeof STREAM_OPERATIONS)[number];

export interface StreamRequest {
  readonly device: string | null;
  readonly operation: StreamOperation;
  /** All arrays of the operation together. */
  readonly workingSetBytes: Bytes;
  readonly threads: number;
  readonly milliseconds: number;
}

export interface StreamTimes {
  /** One for each run of a graph of `steps` passes over the whole working set. */
  readonly samplesNanoseconds: readonly Nanoseconds[];
  readonly steps: number;
  /** Bytes that one pass reads and writes, counted as STREAM does: what a cache fetches on its own does not count. */
  readonly bytesPerStep: Bytes;
  /** What a pass over next to nothing takes: handing out the work and meeting at its end. */
  readonly emptyStepNanoseconds: Nanoseconds;
}

export const TRANSFER_DIRECTIONS = ['to-device', 'from-device'] as const;
export type TransferDirection = (typeof TRANSFER_DIRECTIONS)[number];

export interface TransferRequest {
  readonly device: string | null;
  readonly direction: TransferDirection;
  /** Host memory of the program's own, or memory that the engine pins for the device. */
  readonly memory: 'pageable' | 'pinned';
  readonly sizeBytes: Bytes;
  readonly milliseconds: number;
}

/**
 * An engine that times single operations, in a process of its own.
 * Every call throws EngineFailure when the device cannot do it, and when the process dies; a later call starts it anew.
 */
export interface EngineProbe {
  /** The process to watch; null while there is none. */
  readonly processId: number | null;
  multiply(request: MultiplyRequest): Promise<readonly Nanoseconds[]>;
  /** One sample for each pass over all layers. */
  attend(request: AttendRequest): Promise<readonly Nanoseconds[]>;
  stream(request: StreamRequest): Promise<StreamTimes>;
  /** null: the device offers no host memory of that kind. */
  transfer(request: TransferRequest): Promise<readonly Nanoseconds[] | null>;
  /** Ends the process; safe to call twice. */
  end(): Promise<void>;
}
