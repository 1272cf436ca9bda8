import { describe, expect, it } from 'vitest';
import { budgetOfDevice, budgetOfMachine, fitModel, type Fit, type MemoryBudget } from '../advise/index.ts';
import { readDeviceRecords, readMachineRecords, readModelRecords } from '../catalog/host/index.ts';
import type { CatalogDevice } from '../catalog/index.ts';
import { DEFAULT_CONTEXT, MIX_NAMES, ON_DEVICE, shapeOf, type MixName } from '../model/index.ts';
import { bytes, GIB } from '../units/index.ts';
import { fitSentence, roomSentences } from './fit-text.ts';

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
      'The longest context that fits is 131072 tokens with as much memory for the GPU as the system can spare (as delivered none does).',
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
