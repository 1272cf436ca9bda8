import { describe, expect, it } from 'vitest';
import { MIB } from '../units/index.ts';
import type { ModelSettings } from './engine.ts';
import {
  llamaBenchArguments,
  parseLlamaBenchDevices,
  parseLlamaBenchHelp,
  parseLlamaBenchRow,
  parseLlamaBenchVersion,
} from './llama-bench-output.ts';

/** Printed by release 0.5.0. */
const ROW =
  '{"build_commit": "0ad4a86", "build_number": 1, "cpu_info": "AMD EPYC", "gpu_info": "", "backends": "CPU", "model_filename": "a.gguf", "model_type": "llama ?B Q4_K - Medium", "model_size": 1073408, "model_n_params": 1705216, "n_batch": 2048, "n_ubatch": 512, "n_threads": 2, "cpu_mask": "0x0", "cpu_strict": false, "poll": 50, "type_k": "f16", "type_v": "f16", "n_gpu_layers": -1, "n_cpu_moe": 0, "split_mode": "layer", "main_gpu": 0, "no_kv_offload": false, "flash_attn": -1, "devices": "auto", "tensor_split": "0.00", "tensor_buft_overrides": "none", "load_mode": "auto", "lazy_mode": "auto", "embeddings": false, "no_op_offload": 0, "no_host": false, "fit_target": 0, "fit_min_ctx": 0, "n_prompt": 16, "n_gen": 8, "n_depth": 64, "test_time": "2026-11-21T02:44:27Z", "avg_ns": 844358, "stddev_ns": 24181, "avg_ts": 28442.407324, "stddev_ts": 805.701455, "samples_ns": [ 865061, 830149, 875506, 829288, 821787 ],"samples_ts": [ 27743.7, 28910.5, 27412.7, 28940.5, 29204.6 ]}';

const HELP = [
  '  -h, --help',
  '  --version                                   show version and build info',
  '  --list-devices                              list available devices and exit',
  '  -p, --n-prompt <n>                                (default: 512)',
  '  -n, --n-gen <n>                                   (default: 128)',
  '  -d, --n-depth <n>                                 (default: 0)',
  '  -ub, --ubatch-size <n>                            (default: 512)',
  '  -ncmoe, --n-cpu-moe <n>                           (default: 0)',
  '  -fa, --flash-attn <on|off|auto>                   (default: auto)',
].join('\n');

const OLD_HELP = [
  '  -p, --n-prompt <n>  (default: 512)',
  '  -n, --n-gen <n>  (default: 128)',
  '  -ub, --ubatch-size <n>  (default: 512)',
  '  -fa, --flash-attn <0|1>  (default: 0)',
].join('\n');

describe('a row of llama-bench', () => {
  it('is read with all its fields', () => {
    const row = parseLlamaBenchRow(ROW);
    expect(row).toMatchObject({ model_size: 1_073_408, flash_attn: -1, n_depth: 64, no_kv_offload: 0 });
    expect(row?.samples_ns).toEqual([865_061, 830_149, 875_506, 829_288, 821_787]);
  });

  it('is read from builds that print flags otherwise, lack fields, or have their own', () => {
    const other = ROW.replace('"flash_attn": -1', '"flash_attn": true')
      .replace('"n_depth": 64, ', '')
      .replace('"backends"', '"of_a_fork": 7, "backends"');
    expect(parseLlamaBenchRow(other)).toMatchObject({ flash_attn: 1, of_a_fork: 7 });
    expect(parseLlamaBenchRow(other)).not.toHaveProperty('n_depth');
  });

  it.each([
    ['', 'nothing'],
    ['| model | size |', 'a table'],
    [ROW.slice(0, 200), 'a torn line'],
    ['{"build_commit": 1}', 'other JSON'],
    [ROW.replace(/"samples_ns": \[[^\]]*\]/, '"samples_ns": []'), 'a row without samples'],
  ])('is not made from %#', (line) => {
    expect(parseLlamaBenchRow(line)).toBeNull();
  });
});

describe('the questions to llama-bench', () => {
  it('tell what a build understands', () => {
    expect(parseLlamaBenchHelp(HELP)).toEqual({
      version: true,
      listDevices: true,
      flashAttentionWords: true,
      cpuMoe: true,
      depth: true,
    });
    expect(parseLlamaBenchHelp(OLD_HELP)).toMatchObject({ flashAttentionWords: false, depth: false });
    expect(parseLlamaBenchHelp('usage: ls [OPTION]... [FILE]...')).toBeNull();
  });

  it('tell its version in both forms', () => {
    expect(parseLlamaBenchVersion('version: 0.5.0-dev (build 1, commit 0ad4a86)\nbuilt with GNU')).toEqual({
      version: '0.5.0-dev',
      buildNumber: 1,
      buildCommit: '0ad4a86',
    });
    expect(parseLlamaBenchVersion('version: 6730 (e60f01d94)')).toEqual({
      version: null,
      buildNumber: 6730,
      buildCommit: 'e60f01d94',
    });
    expect(parseLlamaBenchVersion('error: invalid parameter')).toBeNull();
  });

  it('tell its devices, beside the CPU that every build has', () => {
    const devices = parseLlamaBenchDevices(
      'Available devices:\n  Vulkan0: AMD Radeon (RADV STRIX_HALO) (64000 MiB, 63000 MiB free)\n  BLAS: OpenBLAS (0 MiB, 0 MiB free)\n',
    );
    expect(devices).toMatchObject([
      { name: 'CPU', kind: 'cpu', totalBytes: null },
      { name: 'Vulkan0', description: 'AMD Radeon (RADV STRIX_HALO)', totalBytes: 64_000 * MIB },
      { name: 'BLAS', kind: 'accelerator', totalBytes: null, freeBytes: null },
    ]);
    expect(parseLlamaBenchDevices('Available devices:\n  (none)\n')).toHaveLength(1);
  });
});

describe('the arguments of llama-bench', () => {
  const settings: ModelSettings = {
    modelPath: 'a.gguf',
    contextTokens: 600,
    batchTokens: 2048,
    ubatchTokens: 512,
    threads: 4,
    gpuLayers: -1,
    cpuMoeLayers: 0,
    cacheTypeK: 'q8_0',
    cacheTypeV: 'f16',
    flashAttention: 'on',
  };
  const current = parseLlamaBenchHelp(HELP);
  const old = parseLlamaBenchHelp(OLD_HELP);
  if (current === null || old === null) throw new Error('the help texts above are not read');

  it('say every setting and one test', () => {
    const test = { promptTokens: 512, generatedTokens: 0, depthTokens: 64 };
    expect(llamaBenchArguments(settings, test, 5, current).join(' ')).toBe(
      '-m a.gguf -p 512 -n 0 -d 64 -b 2048 -ub 512 -ctk q8_0 -ctv f16 -t 4 -ngl 99 -ncmoe 0 -fa on -r 5 -o jsonl',
    );
  });

  it('ask for a prompt with generation in one test', () => {
    const test = { promptTokens: 512, generatedTokens: 128, depthTokens: 0 };
    expect(llamaBenchArguments(settings, test, 5, current).join(' ')).toContain('-p 0 -n 0 -pg 512,128');
  });

  it('speak the dialect of an older build, or say what it lacks', () => {
    const flat = { promptTokens: 512, generatedTokens: 0, depthTokens: 0 };
    const args = llamaBenchArguments(settings, flat, 5, old).join(' ');
    expect(args).toContain('-fa 1');
    expect(args).not.toContain('-d ');
    expect(() => llamaBenchArguments(settings, { ...flat, depthTokens: 64 }, 5, old)).toThrow('-d');
    expect(() => llamaBenchArguments({ ...settings, flashAttention: 'auto' }, flat, 5, old)).toThrow('auto');
  });
});
