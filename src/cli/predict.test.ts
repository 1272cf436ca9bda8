import { describe, expect, it } from 'vitest';
import { settingsOf } from './predict.ts';
import { promptLengths, tokenCount, tokenDepths, tokenDepth } from './predict-command.ts';
import { openTarget, weightsFit } from './prediction-target.ts';

describe('the options of predictions', () => {
  it('take no empty prompt, whose speed would be nothing by nothing', () => {
    expect(() => tokenCount('0')).toThrow(/'0' is no token count from 1/);
    expect(tokenCount('512')).toBe(512);
    expect(tokenDepth('0')).toBe(0);
    expect(() => promptLengths('0,512')).toThrow(/has 0; the least is 1/);
  });

  it.each([
    ['0,4096', [0, 4096]],
    ['0-8192+4096', [0, 4096, 8192]],
    ['1024-8192*2', [1024, 2048, 4096, 8192]],
    ['4096,0,4096', [0, 4096]],
  ])('take depths as llama-bench does: %s, in order and each once', (text, depths) => {
    expect(tokenDepths(text)).toEqual(depths);
  });

  it('add up lists that are given twice, as bench does', () => {
    expect(tokenDepths('8192', tokenDepths('0'))).toEqual([0, 8192]);
  });

  it('say what is wrong with a range', () => {
    expect(() => tokenDepths('0-16384*2')).toThrow(/does not grow/);
    expect(() => tokenDepths('8192-0')).toThrow(/ends before it begins/);
    expect(() => tokenDepths('deep')).toThrow(/'deep' is no list of integers/);
  });

  it('say how large a count may be', () => {
    expect(() => tokenDepths('0,99999999')).toThrow(/above 16777216 tokens/);
    expect(() => tokenCount('1,2')).toThrow(/is no token count/);
  });

  it('refuse a quantised cache without flash attention, as llama.cpp does', () => {
    expect(() => settingsOf({ flashAttn: 'off', cacheType: 'q8_0' }, 0)).toThrow(/needs flash attention/);
    expect(settingsOf({ flashAttn: 'off', cacheType: 'f16' }, 0).cacheType).toBe('f16');
  });
});

describe('the target of a prediction', () => {
  it.each([
    ['mac-studio-m4-max-64', 'cuda', /There is no cuda for .*; take metal/],
    ['nvidia-rtx-5090', 'rocm', /There is no rocm for .*; take cuda/],
    ['nvidia-rtx-5090', 'metal', /There is no metal for/],
    ['nvidia-rtx-5090', 'cpu', /is a graphics card/],
  ])('is not %s with %s, which does not exist', async (machine, backend, reason) => {
    await expect(openTarget(machine, backend)).rejects.toThrow(reason);
  });

  it('is no file that is not there', async () => {
    await expect(openTarget('missing.json', undefined)).rejects.toThrow('There is no file missing.json');
  });

  it.each([
    ['nvidia-rtx-5090', 'vulkan'],
    ['amd-ryzen-ai-max-395', 'cpu'],
    ['amd-ryzen-ai-max-395', 'rocm-7.2'],
  ])('is %s with %s, which does', async (machine, backend) => {
    expect((await openTarget(machine, backend)).backend.exact).toBe(backend);
  });

  it('knows that weights larger than its memory do not fit', async () => {
    const target = await openTarget('nvidia-rtx-5090', undefined);
    const sized = (dense: number) => ({ bytes: { dense, head: 0, experts: 0 } });
    expect(weightsFit(target, sized(60e9))).toBe(false);
    expect(weightsFit(target, sized(5e9))).toBe(true);
  });

  it('says no more than is known where the size of the memory is not', () => {
    expect(weightsFit({ memoryBytes: null }, { bytes: { dense: 1, head: 1, experts: 0 } })).toBeNull();
  });
});
