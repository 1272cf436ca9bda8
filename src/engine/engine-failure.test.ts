import { describe, expect, it } from 'vitest';
import { parseBufferLines } from './engine-log.ts';
import { classifyEnd, type ProcessEnd } from './failure.ts';

const end = (changes: Partial<ProcessEnd>): ProcessEnd => ({
  exitCode: null,
  signal: null,
  log: '',
  onGpu: false,
  timedOut: false,
  modelPath: 'a.gguf',
  activity: 'loading',
  ...changes,
});

describe('how a process ended', () => {
  it.each([
    ['vk::Queue::submit: ErrorDeviceLost', 'gpu-hang'],
    ['ggml_vulkan: vk::Device::allocateMemory: ErrorOutOfDeviceMemory', 'out-of-memory'],
    ["error loading model architecture: unknown model architecture: 'foo'", 'unsupported'],
    ['llama_init_from_model: quantized V cache requires flash_attn to be enabled', 'unsupported'],
    ['gguf_init_from_file_ptr: failed to read magic', 'load-failed'],
  ])('is told by its log: %s', (log, kind) => {
    const failure = classifyEnd(end({ log: `before\n${log}\nafter`, exitCode: 1 }));
    expect(failure.kind).toBe(kind);
    expect(failure.details.engineWords).toBe(log);
  });

  it('is a time-out on a CPU and a hang on a GPU', () => {
    expect(classifyEnd(end({ timedOut: true })).kind).toBe('timed-out');
    expect(classifyEnd(end({ timedOut: true, onGpu: true })).kind).toBe('gpu-hang');
  });

  it('is a crash with its signal when nothing else is known', () => {
    const failure = classifyEnd(end({ signal: 'SIGKILL' }));
    expect([failure.kind, failure.details.signal]).toEqual(['crashed', 'SIGKILL']);
    expect(classifyEnd(end({ signal: 'SIGSEGV' })).message).toContain('SIGSEGV');
  });
});

describe('the buffers in a log', () => {
  it('are read by kind, from lines that llama.cpp prints', () => {
    const log = [
      'load_tensors:          CPU model buffer size =     1.00 MiB',
      'llama_kv_cache:        CPU KV buffer size =     0.50 MiB',
      'sched_reserve:        CPU compute buffer size =     2.25 MiB',
      'llama_context: graph nodes  = 62',
    ].join('\n');
    expect(parseBufferLines(log).map(({ name, kind, bytes }) => [name, kind, bytes])).toEqual([
      ['CPU', 'model', 2 ** 20],
      ['CPU', 'kv', 2 ** 19],
      ['CPU', 'compute', 2.25 * 2 ** 20],
    ]);
  });
});
