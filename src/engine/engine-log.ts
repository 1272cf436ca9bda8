import { MIB, bytes, type Bytes } from '../units/index.ts';
import type { EngineBuffer } from './engine.ts';
import type { BufferMemory, ContextOutcome, KvCacheLine } from './memory-request.ts';

const BUFFER_LINE =
  /^\S+:\s+(?<name>\S.*?)\s+(?<kind>model|KV|RS|compute|output)\s+buffer size\s*=\s*(?<size>[\d.]+)\s*MiB/;

const KINDS: Readonly<Record<string, EngineBuffer['kind']>> = {
  model: 'model',
  KV: 'kv',
  RS: 'recurrent',
  compute: 'compute',
  output: 'output',
};

/**
 * Reads the buffers that llama.cpp allocated from its log, where it prints them in MiB with two decimals
 * (llama-model.cpp load_tensors, llama-kv-cache.cpp, llama-memory-recurrent.cpp, llama-context.cpp, release 0.5.0).
 */
export function parseBufferLines(log: string): EngineBuffer[] {
  const buffers: EngineBuffer[] = [];
  for (const line of log.split('\n')) {
    const groups = BUFFER_LINE.exec(line)?.groups;
    const kind = KINDS[groups?.['kind'] ?? ''];
    const name = groups?.['name'];
    const size = Number(groups?.['size']);
    if (kind !== undefined && name !== undefined && Number.isFinite(size)) {
      buffers.push({ name, kind, bytes: bytes(Math.round(size * MIB)) });
    }
  }
  return buffers;
}

/** llama-kv-cache.cpp, the end of the constructor of `llama_kv_cache`. */
const KV_CACHE_LINE =
  /^llama_kv_cache: size = .*\(\s*(?<cells>\d+) cells,\s*(?<layers>\d+) layers,\s*(?<sequences>\d+)\/(?<streams>\d+) seqs\), K \([^)]*\):\s*(?<key>[\d.]+) MiB, V \([^)]*\):\s*(?<value>[\d.]+) MiB/gm;

const mebibytes = (text: string | undefined): Bytes => bytes(Math.round(Number(text) * MIB));

/** The KV caches of a context from the log of its making. */
export function parseKvCacheLines(log: string): KvCacheLine[] {
  return [...log.matchAll(KV_CACHE_LINE)].map(({ groups = {} }) => ({
    cells: Number(groups['cells']),
    layers: Number(groups['layers']),
    sequences: Number(groups['sequences']),
    streams: Number(groups['streams']),
    keyBytes: mebibytes(groups['key']),
    valueBytes: mebibytes(groups['value']),
  }));
}

/** What becomes of a context: the engine's account of it with what only its log tells, or its reason to refuse. */
export function readContextOutcome(context: {
  readonly log: string;
  readonly buffers: readonly BufferMemory[] | null;
}): ContextOutcome {
  if (context.buffers === null) return { refusal: refusalReason(context.log) };
  const logged = parseBufferLines(context.log);
  const sum = (kind: EngineBuffer['kind']): Bytes =>
    bytes(logged.reduce((total, buffer) => total + (buffer.kind === kind ? buffer.bytes : 0), 0));
  return {
    buffers: context.buffers,
    kvCaches: parseKvCacheLines(context.log),
    recurrentBytes: sum('recurrent'),
    outputBytes: sum('output'),
  };
}

/** The last thing that the engine said before it gave up, without the name of the function that said it. */
function refusalReason(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  return (lines.at(-1) ?? 'it gave no reason').replace(/^\w+: (?:failed to initialize the context: )?/, '');
}
