import { describe, expect, it } from 'vitest';
import { budgetOfDevice, budgetOfMachine, fitModel, type Fit, type MemoryBudget } from '../advise/index.ts';
import { readDeviceRecords, readMachineRecords, readModelRecords } from '../catalog/host/index.ts';
import type { CatalogDevice } from '../catalog/index.ts';
import { DEFAULT_CONTEXT, MIX_NAMES, ON_DEVICE, shapeOf, type MixName } from '../model/index.ts';
import { bytes, formatBytes, GIB } from '../units/index.ts';
import { heldBackNotes } from './fit-companions.ts';
import {
  fitBarKey,
  fitBars,
  fitSentence,
  fitTable,
  roomSentences,
  splitNote,
  splitRows,
} from './fit-text.ts';

const devices = readDeviceRecords();
const machines = readMachineRecords();
const models = readModelRecords();

function deviceNamed(id: string): CatalogDevice {
  const device = devices.find((each) => each.id === id);
  if (device === undefined) throw new Error(`no ${id}`);
  return device;
}

function framework(): MemoryBudget | null {
  const machine = machines.find(({ id }) => id === 'framework-desktop-395-128');
  return machine === undefined ? null : budgetOfMachine(machine, deviceNamed(machine.device));
}

function fitOf(model: string, mix: MixName, contextTokens: number, budget: MemoryBudget | null): Fit {
  const record = models.find(({ id }) => id === model);
  if (record === undefined || budget === null) throw new Error(`no ${model}`);
  const fit = fitModel({
    shape: shapeOf(record),
    mix,
    settings: { ...DEFAULT_CONTEXT, contextTokens },
    placement: ON_DEVICE,
    budget,
    mixes: MIX_NAMES.filter((name) => name !== 'F32'),
  });
  if ('unsupported' in fit) throw new Error(fit.unsupported);
  return fit;
}

describe('the judgement of a machine with shared memory', () => {
  it('says that a model fits as delivered', () => {
    const fit = fitOf('gpt-oss-120b', 'MXFP4', 131_072, framework());
    expect(fitSentence(fit, 131_072)).toBe('Fits as delivered, with a context of 131072 tokens.');
  });

  it('names what has to be set where it does not as delivered', () => {
    const fit = fitOf('glm-4.5-air', 'Q4_K_M', 131_072, framework());
    const pages = fit.sharing?.remedies?.ttmLimitPages ?? 0;
    expect(fitSentence(fit, 131_072)).toBe(
      `Fits only with a carve-out of 64 GB or more in the firmware, or ttm.pages_limit=${pages} or more (pages of 4 KiB) on the command line of the Linux kernel. With a context of 131072 tokens it does not as delivered.`,
    );
    expect(roomSentences(fit, 131_072)[0]).toBe(
      'The longest context that fits is 131072 tokens, all that the model was trained for, with as much memory for the GPU as the system can spare (as delivered none does).',
    );
  });

  it('names the limit of macOS', () => {
    const budget = budgetOfDevice(deviceNamed('apple-m4-max-40c'), bytes(128 * GIB));
    expect(fitSentence(fitOf('glm-4.5-air', 'Q4_K_M', 262_144, budget), 262_144)).toMatch(
      /^Fits only with sudo sysctl iogpu\.wired_limit_mb=\d+ or more\. /,
    );
  });
});

describe('what else fits', () => {
  it('is not a context shorter than the wanted one, which the model was not trained for', () => {
    const fit = fitOf('qwen3-30b-a3b', 'Q4_K_M', 131_072, framework());
    expect(fit.longestContextTokens).toBe(40_960);
    expect(roomSentences(fit, 131_072).join(' ')).not.toContain('context');
  });

  it('is said once where the model does not fit', () => {
    const fit = fitOf('llama-3.1-70b', 'Q4_K_M', 8192, budgetOfDevice(deviceNamed('nvidia-rtx-4090')));
    expect(fitSentence(fit, 8192)).toContain(`at this context ${fit.largestMix ?? ''} fits`);
    expect(roomSentences(fit, 8192)).toEqual([]);
  });
});

describe('what is printed in a line of 80 characters', () => {
  const rtx3090s = budgetOfDevice(deviceNamed('nvidia-rtx-3090'), bytes(8 * 24 * GIB), 8);

  it.each([
    ['a processor', budgetOfDevice(deviceNamed('raspberry-pi-5'))],
    ['shared memory', framework()],
    ['eight GPUs', rtx3090s],
  ])('is the bar of %s', (_, budget) => {
    for (const columns of [80, 60]) {
      const bars = fitBars(fitOf('deepseek-v3', 'Q4_K_M', 4096, budget), columns);
      expect(Math.max(...bars.map((bar) => bar.length))).toBeLessThanOrEqual(columns);
      expect(bars.every((bar) => bar.includes('|'))).toBe(true);
    }
    const [wide = ''] = fitBars(fitOf('deepseek-v3', 'Q4_K_M', 4096, budget), 200);
    expect(wide.replace(/^GPU 0 +/, '').indexOf('  ')).toBe(61);
  });

  it('is what the letters mean, and in two lines where it is narrower', () => {
    expect(fitBarKey(80)).toEqual([
      '█ weights  ▓ KV cache  ▒ state  ░ compute  · free  | the end of what there is',
    ]);
    const narrow = fitBarKey(60);
    expect(narrow).toHaveLength(2);
    expect(Math.max(...narrow.map((line) => line.length))).toBeLessThanOrEqual(60);
    expect(narrow.join('  ')).toBe(fitBarKey(80)[0]);
  });

  it('is the table of eight GPUs, with a row for each instead of a column', () => {
    const fit = fitOf('deepseek-v3', 'Q4_K_M', 4096, rtx3090s);
    expect(fitTable(fit, 200).titles).toHaveLength(10);
    const narrow = fitTable(fit, 80);
    expect(narrow.titles).toEqual(['', 'weights', 'KV cache', 'compute', 'logits', 'together']);
    expect(narrow.rows.map(([place]) => place)).toEqual([
      ...Array.from({ length: 8 }, (_, gpu) => `GPU ${gpu}`),
      'system memory',
    ]);
    expect(narrow.rows[3]?.at(-1)).toBe(fitTable(fit, 200).rows.at(-1)?.[4]);
  });

  it('is the table of divisions, at its widest', () => {
    const fit = fitOf('kimi-k2', 'Q4_K_M', 131_072, framework());
    const titles = ['GPU memory', 'GPU may use', 'system left', 'longest context', 'this one'];
    const widths = titles.map((title, column) =>
      Math.max(title.length, ...splitRows(fit).map((row) => row[column]?.length ?? 0)),
    );
    expect(widths.reduce((sum, width) => sum + width) + 2 * (widths.length - 1)).toBeLessThanOrEqual(80);
  });
});

describe('the longest context of a division of memory', () => {
  it('is marked where it is all that the model was trained for', () => {
    const fit = fitOf('llama-3.1-8b', 'Q4_K_M', 262_144, framework());
    expect(new Set(splitRows(fit).map(([, , , longest]) => longest))).toEqual(new Set(['131072 (all)']));
    expect(splitNote(fit)).toContain('as long as the model was trained for');
  });

  it('is not where it is the memory that ends', () => {
    const fit = fitOf('qwen3-235b-a22b', 'Q4_K_M', 40_960, framework());
    expect(fit.longestContextTokens).toBeNull();
    expect(splitRows(fit).every(([, , , longest]) => longest === 'none')).toBe(true);
    expect(splitNote(fit)).toBeNull();
  });
});

describe('weights that Vulkan cannot have in one buffer', () => {
  it('are named with what they take, and the reason', () => {
    const fit = fitOf('kimi-k2', 'Q4_K_M', 131_072, framework());
    const onHost = fit.breakdown.lines.find(({ kind }) => kind === 'weights')?.hostBytes ?? 0;
    // The embedding table is there as well, always.
    expect(fit.heldBackBytes / onHost).toBeGreaterThan(0.98);
    expect(fit.heldBackBytes).toBeLessThan(onHost);
    const [note = ''] = heldBackNotes(fit.heldBackBytes);
    expect(note).toContain(`${formatBytes(fit.heldBackBytes)} of the weights stay in the system's memory`);
  });

  it('are not spoken of where there are none', () => {
    expect(heldBackNotes(fitOf('gpt-oss-120b', 'MXFP4', 4096, framework()).heldBackBytes)).toEqual([]);
  });
});
