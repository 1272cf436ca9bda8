import { describe, expect, it } from 'vitest';
import { readDeviceRecords, readMachineRecords, readModelRecords } from '../catalog/host/index.ts';
import { resolveMachine } from '../catalog/index.ts';
import {
  DEFAULT_CONTEXT,
  MIX_NAMES,
  ON_DEVICE,
  parameterCount,
  shapeOf,
  type MixName,
  type ModelShape,
  type Placement,
} from '../model/index.ts';
import { bytes, GIB } from '../units/index.ts';
import { fitModel, fitVerdict, type Fit } from './fit.ts';
import { llamaFlags } from './llama-flags.ts';
import { largestSmallerModel } from './smaller-model.ts';
import { judgeSplit } from './shared-fit.ts';
import {
  budgetOfDevice,
  budgetOfMachine,
  budgetOnCores,
  carveOutSplits,
  systemReserve,
  type MemoryBudget,
} from './memory-budget.ts';

const machines = readMachineRecords();
const devices = readDeviceRecords();
const models = readModelRecords();

function budgetNamed(id: string): MemoryBudget {
  const machine = resolveMachine(id, machines);
  const device = devices.find((each) => each.id === machine.device);
  const budget = device === undefined ? null : budgetOfMachine(machine, device);
  if (budget === null) throw new Error(`${id} has no memory`);
  return budget;
}

function shapeNamed(id: string): ModelShape {
  const record = models.find((each) => each.id === id);
  if (record === undefined) throw new Error(`no ${id}`);
  return shapeOf(record);
}

function fitNamed(model: string, mix: MixName, contextTokens: number, machine: string): Fit {
  return fitWith(model, mix, contextTokens, budgetNamed(machine), ON_DEVICE);
}

function fitWith(
  model: string,
  mix: MixName,
  contextTokens: number,
  budget: MemoryBudget,
  placement: Placement,
): Fit {
  const fit = fitModel({
    shape: shapeNamed(model),
    mix,
    settings: { ...DEFAULT_CONTEXT, contextTokens },
    placement,
    budget,
    mixes: MIX_NAMES,
  });
  if ('unsupported' in fit) throw new Error(fit.unsupported);
  return fit;
}

describe('whether a model fits', () => {
  it('is so for gpt-oss 120B at its whole context in 128 GB of shared memory, and not in 64', () => {
    expect(fitNamed('gpt-oss-120b', 'MXFP4', 131_072, 'framework-desktop-395-128').verdict).toBe('fits');
    const small = fitNamed('gpt-oss-120b', 'MXFP4', 131_072, 'framework-desktop-395-64');
    expect(small.verdict).not.toBe('fits');
  });

  it('says how much of a context does, and that one step more does not', () => {
    const fit = fitNamed('llama-3.1-8b', 'Q8_0', 131_072, 'desktop-rx-7600-xt');
    expect(fit.verdict).toBe('does-not-fit');
    const longest = fit.longestContextTokens ?? 0;
    expect(longest).toBeGreaterThan(8192);
    expect(fitNamed('llama-3.1-8b', 'Q8_0', longest, 'desktop-rx-7600-xt').verdict).toBe('fits');
    expect(fitNamed('llama-3.1-8b', 'Q8_0', longest + 256, 'desktop-rx-7600-xt').verdict).toBe(
      'does-not-fit',
    );
  });

  it('is a matter of system memory on a board that computes on its cores', () => {
    const { breakdown } = fitNamed('llama-3.1-8b', 'Q4_K_M', 4096, 'raspberry-pi-5-8');
    expect(breakdown.deviceBytes).toBe(0);
    expect(budgetNamed('raspberry-pi-5-8').kind).toBe('processor');
  });

  it('names the largest quantisation that does', () => {
    const fit = fitNamed('qwen3-32b', 'Q8_0', 8192, 'desktop-rtx-4090');
    expect(fit.verdict).toBe('does-not-fit');
    expect(fit.largestMix).not.toBeNull();
    expect(fitNamed('qwen3-32b', fit.largestMix ?? 'F32', 8192, 'desktop-rtx-4090').verdict).toBe('fits');
  });

  it('proposes no quantisation whose tensors only fit because a GPU cannot hold them', () => {
    const device = devices.find(({ id }) => id === 'nvidia-rtx-3090');
    const budget = device === undefined ? null : budgetOfDevice(device, bytes(8 * 24 * GIB), 8);
    if (budget === null) throw new Error('no memory');
    // In F16 each tensor of experts takes 7 GiB.
    expect(fitWith('deepseek-v3', 'F16', 4096, budget, ON_DEVICE).heldBackBytes).toBeGreaterThan(1000 * GIB);
    const fit = fitWith('deepseek-v3', 'Q4_K_M', 4096, budget, ON_DEVICE);
    expect(fit.heldBackBytes).toBe(0);
    const largest = fitWith('deepseek-v3', fit.largestMix ?? 'F32', 4096, budget, ON_DEVICE);
    expect(largest).toMatchObject({ verdict: 'fits', heldBackBytes: 0 });
    expect(largest.breakdown.totalBytes).toBeLessThan(fit.breakdown.totalBytes);
  });

  it('proposes no quantisation that needs system memory of which it is not known how much there is', () => {
    const wanted = { ...ON_DEVICE, gpuLayers: 10 };
    const fit = fitWith('qwen3-32b', 'Q4_K_M', 8192, budgetNamed('desktop-rtx-4090'), wanted);
    expect(fit.verdict).toBe('fits');
    const largest = fitWith(
      'qwen3-32b',
      fit.largestMix ?? 'F32',
      8192,
      budgetNamed('desktop-rtx-4090'),
      wanted,
    );
    expect(largest.breakdown.hostBytes).toBeLessThanOrEqual(fit.breakdown.hostBytes);
  });

  it('lets each of several sequences be as long as the model was trained for, unless they share one cache', () => {
    const of = (unifiedCache: boolean): Fit => {
      const fit = fitModel({
        shape: shapeNamed('qwen3-0.6b'),
        mix: 'Q4_K_M',
        settings: { ...DEFAULT_CONTEXT, contextTokens: 4096, sequences: 4, unifiedCache },
        placement: ON_DEVICE,
        budget: budgetNamed('framework-desktop-395-128'),
        mixes: [],
      });
      if ('unsupported' in fit) throw new Error(fit.unsupported);
      return fit;
    };
    expect(of(true).longestContextTokens).toBe(40_960);
    expect(of(false).longestContextTokens).toBe(4 * 40_960);
  });

  it('keeps the fewest layers of experts in system memory where a GPU is too small', () => {
    const fit = fitNamed('qwen3-30b-a3b', 'Q4_K_M', 8192, 'desktop-rx-7600-xt');
    const kept = fit.partial?.placement.cpuMoeLayers ?? 0;
    expect(kept).toBeGreaterThan(0);
    expect(kept).toBeLessThan(48);
    expect(fit.partial?.breakdown.deviceBytes).toBeLessThan(15 * GIB);
  });

  it('counts every GPU by itself where there are two, and divides the layers by their memory', () => {
    const fit = fitNamed('llama-3.3-70b', 'Q4_K_M', 8192, 'desktop-2x-rtx-3090');
    expect(fit.verdict).toBe('fits');
    const [first = 0, second = 0] = fit.breakdown.eachDeviceBytes;
    // 41 of the 81 layers, the head included, are on the first.
    const [cached = 0, rest = 0] = fit.breakdown.lines[1]?.eachDeviceBytes ?? [];
    expect(cached / (cached + rest)).toBeCloseTo(41 / 80, 6);
    expect(Math.max(first, second)).toBeLessThan(23 * GIB);
  });

  it('fails where one of two GPUs is given more than it has, though both together have enough', () => {
    const budget = budgetNamed('desktop-2x-rtx-3090');
    const fit = fitWith('llama-3.3-70b', 'Q4_K_M', 8192, budget, { ...ON_DEVICE, deviceShares: [3, 1] });
    expect(fit.verdict).toBe('does-not-fit');
    expect(fit.breakdown.deviceBytes).toBeLessThan(46 * GIB);
  });

  it('leaves a quarter of 8 GiB to the system, and 4 GiB of 16', () => {
    expect(systemReserve(8 * GIB)).toBe(2 * GIB);
    expect(systemReserve(16 * GIB)).toBe(4 * GIB);
    expect(systemReserve(128 * GIB)).toBe(4 * GIB);
    expect(fitNamed('llama-3.1-8b', 'Q4_K_M', 4096, 'raspberry-pi-5-8').verdict).toBe('fits');
  });

  it('proposes a smaller mix with a shorter context where neither alone would do', () => {
    const wanted = 'mistral-small-3-24b-2501';
    const fit = fitNamed(wanted, 'Q8_0', 32_768, 'raspberry-pi-5-8');
    expect(fit).toMatchObject({ longestContextTokens: null, largestMix: null });
    const { mix, contextTokens } = fit.reduced ?? { mix: 'Q8_0', contextTokens: 0 };
    expect(fitNamed(wanted, mix, contextTokens, 'raspberry-pi-5-8').verdict).toBe('fits');
    expect(fitNamed(wanted, mix, contextTokens + 256, 'raspberry-pi-5-8').verdict).not.toBe('fits');
  });

  it('names the largest other model that fits where nothing of the wanted one does', () => {
    const budget = budgetNamed('raspberry-pi-5-8');
    const fit = fitNamed('deepseek-v3', 'Q4_K_M', 4096, 'raspberry-pi-5-8');
    expect(fit).toMatchObject({ longestContextTokens: null, largestMix: null, partial: null, reduced: null });
    const settings = { ...DEFAULT_CONTEXT, contextTokens: 4096 };
    const smaller = largestSmallerModel(
      shapeNamed('deepseek-v3'),
      models.map(shapeOf),
      'Q4_K_M',
      settings,
      budget,
    );
    if (smaller === null) throw new Error('no model fits');
    expect(fitVerdict(budget, smaller.breakdown)).toBe('fits');
    const larger = models
      .map(shapeOf)
      .filter((shape) => parameterCount(shape) > parameterCount(smaller.shape));
    expect(larger.length).toBeGreaterThan(50);
    expect(parameterCount(smaller.shape)).toBeGreaterThan(7e9);
  });

  it('names no other model whose weights would lie in a memory of which nobody knows the size', () => {
    const device = devices.find(({ id }) => id === 'nvidia-rtx-4090');
    const budget = device === undefined ? null : budgetOfDevice(device);
    if (budget === null) throw new Error('no budget');
    const settings = { ...DEFAULT_CONTEXT, contextTokens: 8192 };
    const shapes = ['deepseek-v4-pro', 'qwen3-32b'].map(shapeNamed);
    const smaller = largestSmallerModel(shapeNamed('kimi-k3'), shapes, 'Q4_K_M', settings, budget);
    expect(smaller?.shape.id).toBe('qwen3-32b');
  });

  it('is a matter of all memory when the processor of a machine with shared memory computes', () => {
    expect(budgetOnCores(budgetNamed('framework-desktop-395-128'))).toEqual({
      kind: 'processor',
      systemBytes: 128 * GIB,
    });
    expect(budgetOnCores(budgetNamed('desktop-rtx-4090'))).toBeNull();
  });

  it('is refused where the engine refuses', () => {
    const record = models.find(({ id }) => id === 'llama-3.1-8b');
    if (record === undefined) throw new Error('no model');
    expect(
      fitModel({
        shape: shapeOf(record),
        mix: 'Q4_0',
        settings: { ...DEFAULT_CONTEXT, contextTokens: 4096, cacheTypeV: 'Q8_0', flashAttention: false },
        placement: ON_DEVICE,
        budget: null,
        mixes: MIX_NAMES,
      }),
    ).toEqual({ unsupported: 'quantized V cache requires flash_attn to be enabled' });
  });
});

describe('a division of shared memory', () => {
  it('lets the GPU use the carve-out and half of what the system keeps, unless the limit is raised', () => {
    const [small, raised] = carveOutSplits(bytes(128 * GIB));
    expect(small).toMatchObject({ carveOutBytes: 0.5 * GIB, sharedLimitBytes: 63.75 * GIB });
    expect(raised?.sharedLimitBytes).toBe(127.5 * GIB - systemReserve(128 * GIB));
  });

  it('is not offered where it would leave the system nothing', () => {
    expect(carveOutSplits(bytes(64 * GIB)).map(({ name }) => name)).not.toContain('64 GB');
    expect(
      carveOutSplits(bytes(32 * GIB)).every(({ systemBytes }) => systemBytes >= systemReserve(32 * GIB)),
    ).toBe(true);
  });

  it('starves the system when a large model leaves it too little', () => {
    const fit = fitNamed('qwen3-235b-a22b', 'Q4_0', 4096, 'framework-desktop-395-128');
    expect(fit.verdict).not.toBe('fits');
    expect(fit.splits.every(({ verdict }) => verdict !== 'fits')).toBe(true);
  });
});

describe('what a machine with shared memory is set to', () => {
  const framework = 'framework-desktop-395-128';

  it('is enough for gpt-oss 120B, and not for GLM 4.5 Air at its whole context', () => {
    expect(fitNamed('gpt-oss-120b', 'MXFP4', 131_072, framework).sharing).toMatchObject({
      setting: 'as delivered',
      verdict: 'fits',
      remedies: null,
    });
    expect(fitNamed('glm-4.5-air', 'Q4_K_M', 131_072, framework)).toMatchObject({
      verdict: 'fits',
      sharing: { verdict: 'does-not-fit', holdsLargestMix: false },
    });
  });

  it('would have to be the smallest limit with which it fits: one page less is too little', () => {
    const { breakdown, sharing } = fitNamed('glm-4.5-air', 'Q4_K_M', 131_072, framework);
    expect(sharing?.remedies).toMatchObject({
      carveOutBytes: 64 * GIB,
      isLargerCarveOutEnough: true,
      iogpuLimitMib: null,
    });
    const budget = budgetNamed(framework);
    const [delivered] = budget.kind === 'shared' ? budget.splits : [];
    if (delivered === undefined) throw new Error('no division');
    const pages = sharing?.remedies?.ttmLimitPages ?? 0;
    const limited = (count: number): string =>
      judgeSplit({ ...delivered, sharedLimitBytes: bytes(count * 4096) }, breakdown).verdict;
    expect([limited(pages - 1), limited(pages)]).toEqual(['does-not-fit', 'fits']);
  });

  it('is a sysctl of macOS in MiB', () => {
    const device = devices.find(({ id }) => id === 'apple-m4-max-40c');
    const budget = device === undefined ? null : budgetOfDevice(device, bytes(128 * GIB));
    if (budget === null) throw new Error('no memory');
    const { breakdown, sharing } = fitWith('glm-4.5-air', 'Q4_K_M', 262_144, budget, ON_DEVICE);
    expect(sharing?.remedies).toEqual({
      carveOutBytes: null,
      isLargerCarveOutEnough: false,
      ttmLimitPages: null,
      iogpuLimitMib: Math.ceil(breakdown.deviceBytes / 2 ** 20),
    });
  });

  it('has no remedy where the system would be left too little', () => {
    expect(fitNamed('qwen3-235b-a22b', 'Q4_0', 4096, framework).sharing?.remedies).toBeNull();
  });
});

describe('the flags of llama-server', () => {
  it('name what is not its default', () => {
    const settings = { ...DEFAULT_CONTEXT, contextTokens: 8192, cacheTypeK: 'Q8_0', sequences: 4 } as const;
    expect(llamaFlags(settings, { gpuLayers: null, cpuMoeLayers: 7 }).join(' ')).toBe(
      '-c 8192 -ngl 999 -ncmoe 7 -np 4 --no-kv-unified -ctk q8_0 -fa on',
    );
  });

  it('have the shares of several GPUs where they were asked for, and nothing of GPUs where there are none', () => {
    const settings = { ...DEFAULT_CONTEXT, contextTokens: 8192 };
    expect(llamaFlags(settings, { ...ON_DEVICE, deviceShares: [3, 1] }).join(' ')).toBe(
      '-c 8192 -ngl 999 -ts 3,1 -np 1 -fa on',
    );
    expect(llamaFlags(settings, null).join(' ')).toBe('-c 8192 -np 1 -fa on');
  });
});
