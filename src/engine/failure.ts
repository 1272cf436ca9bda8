/** The closed set of ways in which a point can fail. Each is a result that is recorded, not an accident. */
export const FAILURE_KINDS = [
  'out-of-memory',
  'load-failed',
  'gpu-hang',
  'crashed',
  'timed-out',
  'unsupported',
] as const;
export type FailureKind = (typeof FAILURE_KINDS)[number];

export interface FailureDetails {
  /** The engine's own words: the line of its log that says why, or '' where it said nothing. */
  readonly engineWords: string;
  readonly exitCode: number | null;
  /** `SIGKILL`, ...; null when the process ended by itself or still lived. */
  readonly signal: string | null;
}

/** An engine could not do what was asked. The message is a sentence for the user: what, to which input, what to do. */
export class EngineFailure extends Error {
  override readonly name = 'EngineFailure';
  readonly kind: FailureKind;
  readonly details: FailureDetails;

  constructor(kind: FailureKind, message: string, details: Partial<FailureDetails> = {}) {
    super(message);
    this.kind = kind;
    this.details = { engineWords: '', exitCode: null, signal: null, ...details };
  }
}

/** How a process ended, as its parent saw it. */
export interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** The end of what it wrote to standard error. */
  readonly log: string;
  /** true when a GPU did the computing: a process that stopped answering then counts as a hang of that GPU. */
  readonly onGpu: boolean;
  /** What the parent itself did: killed it after a time limit, or nothing. */
  readonly timedOut: boolean;
  readonly modelPath: string;
  /** What it was doing: `loading`, `running pp512`. */
  readonly activity: string;
}

interface LogRule {
  readonly pattern: RegExp;
  readonly kind: FailureKind;
  readonly remedy: string;
}

/**
 * What llama.cpp and its backends write when they fail; the first that matches decides, so the specific come first.
 * Sources: llama-model.cpp, llama-context.cpp, llama-model-loader.cpp, ggml-vulkan.cpp, ggml-cuda.cu (release 0.5.0).
 */
const LOG_RULES: readonly LogRule[] = [
  {
    pattern: /ErrorDeviceLost|device lost|GPU hang|HW Exception by GPU|amdgpu.*ring .* timeout/i,
    kind: 'gpu-hang',
    remedy: 'look at the kernel log for the reset, and try a smaller -ub or another backend',
  },
  {
    pattern:
      /ErrorOutOf(?:Device|Host)Memory|out of memory|unable to allocate|failed to allocate|cannot allocate memory|std::bad_alloc|alloc_buffer.*failed/i,
    kind: 'out-of-memory',
    remedy: 'try a smaller quantisation, a shorter context or depth, or fewer layers on the GPU (-ngl)',
  },
  {
    pattern: /unknown (?:model )?architecture[^\n]*/i,
    kind: 'unsupported',
    remedy: 'use an engine build that knows it: --engine llama-bench:/path/to/llama-bench',
  },
  {
    pattern:
      /V cache quantization requires flash_?attn[^\n]*|quantized V cache[^\n]*|not supported[^\n]*|unsupported[^\n]*/i,
    kind: 'unsupported',
    remedy: 'change the setting that the engine names',
  },
  {
    pattern: /error loading model[^\n]*|gguf_init_from_\S+: failed[^\n]*|invalid magic[^\n]*/i,
    kind: 'load-failed',
    remedy: 'check the file, or write it again',
  },
  {
    pattern: /failed to load model[^\n]*/i,
    kind: 'load-failed',
    remedy: 'check the file, or write it again',
  },
];

/** Only the end of a log tells why it ended; further up, backends also say what they merely do without. */
const LAST_LINES = 30;

/**
 * Names how a process ended: by what its parent did, then by the signal that no process can send itself in earnest,
 * then by its log, then by its exit code.
 */
export function classifyEnd(end: ProcessEnd): EngineFailure {
  const tail = end.log.trimEnd().split('\n').slice(-LAST_LINES).join('\n');
  const rule = LOG_RULES.find(({ pattern }) => pattern.test(tail));
  const words = rule === undefined ? lastLine(end.log) : lineAround(tail, rule.pattern);
  const details = { engineWords: words, exitCode: end.exitCode, signal: end.signal };
  const where = `while ${end.activity} with ${end.modelPath}`;
  if (end.timedOut) {
    return end.onGpu
      ? new EngineFailure(
          'gpu-hang',
          `The GPU stopped answering ${where}; it was given up and its process killed. Look at the kernel log, and try a smaller -ub or another backend.`,
          details,
        )
      : new EngineFailure(
          'timed-out',
          `The engine did not answer in time ${where}; it was killed. Give it a smaller test (-p, -n, -d) or more time (--timeout).`,
          details,
        );
  }
  if (end.signal === 'SIGKILL') {
    return new EngineFailure(
      'crashed',
      `Something killed the engine ${where} (SIGKILL). If memory ran out, the kernel log says so: free some, or choose a smaller model or context.`,
      details,
    );
  }
  if (rule !== undefined) {
    return new EngineFailure(
      rule.kind,
      `The engine failed ${where}: ${words}. To go on: ${rule.remedy}.`,
      details,
    );
  }
  const how = end.signal === null ? `exit code ${end.exitCode ?? 'unknown'}` : end.signal;
  return new EngineFailure(
    'crashed',
    `The engine died ${where} (${how})${words === '' ? '' : `; its last words: ${words}`}. Try another backend or build, and report it to llama.cpp.`,
    details,
  );
}

/** Longest piece of a log that goes into a sentence or a record. */
const MAX_WORDS = 300;

function lineAround(log: string, pattern: RegExp): string {
  const line = log.split('\n').findLast((candidate) => pattern.test(candidate)) ?? '';
  return line.trim().slice(0, MAX_WORDS);
}

function lastLine(log: string): string {
  return (log.split('\n').findLast((line) => line.trim() !== '') ?? '').trim().slice(0, MAX_WORDS);
}
