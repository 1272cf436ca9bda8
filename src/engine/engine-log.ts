import { MIB, bytes } from '../units/index.ts';
import type { EngineBuffer } from './engine.ts';

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
