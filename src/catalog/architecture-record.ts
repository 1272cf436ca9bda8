import * as z from 'zod';

/** The number formats whose rates the catalogue knows. INT4 and FP4 are types of the hardware, not llama.cpp's blocks. */
export const DATA_TYPES = ['fp32', 'tf32', 'fp16', 'bf16', 'fp8', 'fp6', 'fp4', 'int8', 'int4'] as const;
export type DataType = (typeof DATA_TYPES)[number];
const dataType = z.enum(DATA_TYPES);

/** What the products are summed in. */
const accumulate = z.enum(['fp32', 'fp16', 'int32']);
/** The part of the chip that does it: the ordinary units, or the matrix unit. */
const executedOn = z.enum(['vector', 'matrix']);

/**
 * Under which condition a rate is reached; without it the rate is `otherwiseOperationsPerClockPerUnit`.
 * - `dual-issue`: two FP32 operations issued in one clock (wave32 on RDNA 3 and later);
 * - `wmma-or-dual-issue`: the matrix instructions, or dual issue (AMD GPUOpen, "How to accelerate AI applications on
 *   RDNA 3 using WMMA": 512 FLOP a clock and compute unit with WMMA, 256 without).
 */
const condition = z.enum(['dual-issue', 'wmma-or-dual-issue']);

/** Wider than any unit known (Blackwell's multiprocessor: 32,768 FP4 operations a clock) by a factor of 32. */
const MAX_OPERATIONS_PER_CLOCK = 2 ** 20;
const operations = z.int().min(1).max(MAX_OPERATIONS_PER_CLOCK);

const rate = z
  .strictObject({
    dataType,
    accumulate,
    on: executedOn,
    operationsPerClockPerUnit: operations,
    condition: condition.optional(),
    otherwiseOperationsPerClockPerUnit: operations.optional(),
  })
  .refine(
    (value) => (value.condition === undefined) === (value.otherwiseOperationsPerClockPerUnit === undefined),
    'a condition and the rate without it go together',
  );

/** Where a figure was read: a work listed in `data/sources.json`, with the place in it. */
export const citationSchema = z.strictObject({
  id: z.string().min(1),
  revision: z
    .string()
    .regex(/^[0-9a-f]{7,40}$/)
    .optional(),
  path: z.string().min(1).optional(),
  url: z.url().optional(),
});

const architecture = z.strictObject({
  id: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/),
  name: z.string().min(1),
  matrixUnit: z.string().min(1).nullable(),
  /** Dense operations per clock and unit; a fused multiply-add counts two. */
  rates: z.array(rate),
  supportedWithoutRate: z.array(dataType),
  notInHardware: z.array(dataType),
  sources: z.array(citationSchema),
});

/** `data/architectures.json`: what one unit of a chip does in one clock. */
export const architecturesFileSchema = z.strictObject({
  schemaVersion: z.literal(1),
  architectures: z.array(architecture).min(1),
});

export type ArchitectureRecord = z.infer<typeof architecture>;
export type ArchitectureRate = z.infer<typeof rate>;
export type RateCondition = z.infer<typeof condition>;
export type Citation = z.infer<typeof citationSchema>;
