import { z } from 'zod';
import { FAILURE_KINDS, STREAM_OPERATIONS, TRANSFER_DIRECTIONS } from '../../engine/index.ts';
import { telemetrySchema } from '../../machine/index.ts';
import { bytes, nanoseconds } from '../../units/index.ts';
import { measurementRecordSchema } from '../record.ts';

/** Fields are added, never changed, within a major version. */
export const PROBE_SCHEMA_VERSION = 1;

export const PROBE_PARTS = ['bandwidth', 'gemm', 'transfer'] as const;
export type ProbePart = (typeof PROBE_PARTS)[number];

const count = z.number().int().nonnegative();
const bytesSchema = z.number().nonnegative().transform(bytes);
const nanosecondsSchema = z.number().nonnegative().transform(nanoseconds);

/** What was timed: one product, one stream or one copy. */
const subjectSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('matmul'),
    by: z.enum(['ggml', 'torch']),
    /** ggml's type of the weights, or torch's data type. */
    type: z.string(),
    rows: count,
    batch: count,
    columns: count,
    /** `search`: a few repetitions. `steady`: without a pause for many seconds, for boost and sustained rate. */
    purpose: z.enum(['search', 'steady']),
    /** Variables that choose a library's kernels; empty where none was set. */
    environment: z.record(z.string(), z.string()),
  }),
  z.object({
    kind: z.literal('stream'),
    operation: z.enum(STREAM_OPERATIONS),
    workingSetBytes: bytesSchema,
    /** Passes that each sample holds. */
    steps: count,
    bytesPerStep: bytesSchema,
    emptyStepNanoseconds: nanosecondsSchema,
  }),
  z.object({
    kind: z.literal('transfer'),
    direction: z.enum(TRANSFER_DIRECTIONS),
    memory: z.enum(['pageable', 'pinned']),
    sizeBytes: bytesSchema,
    /** false: the device has no memory of this kind on the host, and nothing was timed. */
    offered: z.boolean(),
  }),
  /** One whole part of a probe: how the machine fared meanwhile. */
  z.object({ kind: z.literal('part'), part: z.enum(PROBE_PARTS) }),
  /** The last line of a run that was not interrupted. */
  z.object({ kind: z.literal('end') }),
]);
export type ProbeSubject = z.infer<typeof subjectSchema>;

/** One thing that was timed, or that failed. */
const readingSchema = z.object({
  device: z.string(),
  threads: count,
  subject: subjectSchema,
  samplesNanoseconds: z.array(nanosecondsSchema),
  telemetry: telemetrySchema.nullable(),
  failure: z.object({ kind: z.enum(FAILURE_KINDS), sentence: z.string() }).nullable(),
});
export type ProbeReading = z.infer<typeof readingSchema>;

/** One line of the log of probes. */
export const probeRecordSchema = readingSchema.extend({
  schemaVersion: z.literal(PROBE_SCHEMA_VERSION),
  id: z.string(),
  benchmark: z.object({ id: z.string(), version: count }),
  /** `key` names the settings and the state of the machine, `run` one start of the probe. */
  series: z.object({ key: z.string(), run: z.string() }),
  /** RFC 3339, UTC. */
  startedAt: z.iso.datetime(),
  machine: measurementRecordSchema.shape.machine,
  engine: measurementRecordSchema.shape.engine,
});
export type ProbeRecord = z.infer<typeof probeRecordSchema>;

export interface ProbeProgress {
  readonly run: string;
  /** Everything that the run has timed, oldest first. */
  readonly readings: readonly ProbeReading[];
}

/** The newest run of a series when it was interrupted; null when it came to its end or there is none. */
export function probeProgress(records: readonly ProbeRecord[], key: string): ProbeProgress | null {
  const run = records.findLast(({ series }) => series.key === key)?.series.run;
  if (run === undefined) return null;
  const readings = records.filter(({ series }) => series.key === key && series.run === run);
  return readings.some(({ subject }) => subject.kind === 'end') ? null : { run, readings };
}
