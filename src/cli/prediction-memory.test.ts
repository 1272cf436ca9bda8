import { describe, expect, it } from 'vitest';
import { recordingContext } from '../../test/fixtures/recording-context.ts';
import { runCompare } from './compare.ts';
import { runExplain } from './explain.ts';
import { layerCount } from './predict-command.ts';
import { runPredict } from './predict.ts';
import { openTarget } from './prediction-target.ts';

const FLAGS = { depth: [0], prompt: [512], gen: 128, machine: ['nvidia-rtx-3060'] };

describe('predict', () => {
  it('names model, quantisation, machine and device by their ids, and states what they take', async () => {
    const context = recordingContext();
    await runPredict(['llama-3.1-8b:Q4_K_M'], { ...FLAGS, json: true }, context);
    const document: unknown = JSON.parse(context.out.at(-1) ?? '');
    expect(document).toMatchObject({
      predictions: [
        {
          modelId: 'llama-3.1-8b',
          quantisation: 'Q4_K_M',
          trainedContextTokens: 131_072,
          machineId: null,
          device: 'nvidia-rtx-3060-12-gb',
          deviceCount: 1,
          memory: { contextTokens: 512, verdict: 'fits' },
        },
      ],
    });
  });

  it('warns of a context that makes a model too large which fits without, and of one longer than trained', async () => {
    const context = recordingContext();
    await runPredict(['llama-3.1-8b:Q4_K_M'], { ...FLAGS, depth: [0, 120_000] }, context);
    expect(context.err).toHaveLength(1);
    expect(context.err[0]).toMatch(
      /with a context of 120512 tokens takes .* on the GPU .*more than GeForce RTX 3060/,
    );
    const longer = recordingContext();
    await runPredict(['qwen3-4b:Q4_K_M'], { ...FLAGS, depth: [50_000] }, longer);
    expect(longer.err.join('\n')).toMatch(/trained for contexts of up to \d+ tokens; with 50512/);
  });

  it('needs no warning for a model whose experts stay with a processor, which has to be named', async () => {
    const context = recordingContext();
    const flags = { ...FLAGS, nCpuMoe: 36 };
    await expect(runPredict(['qwen3-30b-a3b:Q4_K_M'], flags, context)).rejects.toThrow(
      /processor beside GeForce RTX 3060 12 GB, which is not known; name it with --host-device/,
    );
    const named = recordingContext();
    await runPredict(['qwen3-30b-a3b:Q4_K_M'], { ...flags, hostDevice: 'amd-ryzen-7950x' }, named);
    expect(named.err).toEqual([]);
    expect(named.out.join('\n')).toMatch(/physics/);
  });
});

describe('explain', () => {
  it('tells the terms of the processor from those of the card', async () => {
    const context = recordingContext();
    await runExplain(
      'qwen3-30b-a3b:Q4_K_M',
      {
        machine: 'nvidia-rtx-3060',
        depth: 0,
        prompt: 512,
        gen: 128,
        nCpuMoe: 36,
        hostDevice: 'amd-ryzen-7950x',
      },
      context,
    );
    const [text = ''] = context.out;
    expect(text).toMatch(/360 GB\/s and 83\.2 GB\/s of the processor/);
    expect(text).toMatch(/weights of the chosen experts, on the processor/);
    const [, prompt = ''] = text.split('A prompt,');
    const [, allowed] = /of the link, allows (\d+) tokens/.exec(prompt) ?? [];
    const [, expected] = /expected are (\d+)/.exec(prompt) ?? [];
    const [, share] = /(\d+) % of the time of the prompt is the limit itself/.exec(prompt) ?? [];
    expect(Number(share)).toBe(Math.round((100 * Number(expected)) / Number(allowed)));
    expect(prompt).toMatch(/copies between processor and GPU, at \d+ % of the limit/);
    for (const line of text.split('\n').filter((each) => / ms /.test(each))) {
      expect(line.length).toBeLessThanOrEqual(100);
    }
  });
});

describe('compare', () => {
  it('says which machine has too little memory for model and context', async () => {
    const context = recordingContext();
    const flags = { model: 'gpt-oss-120b:MXFP4', prompt: [2048], output: 512, cached: 0 };
    await runCompare(['nvidia-rtx-5090', 'framework-desktop-395-128'], flags, context);
    const lines = context.out.join('\n').split('\n');
    expect(lines.find((line) => line.startsWith('fits'))).toMatch(/^fits\s+no\s+yes$/);
    expect(context.err.join('\n')).toMatch(/gpt-oss 120B MXFP4 with a context of 2560 tokens takes/);
  });
});

describe('compare, of machines of which one has no published peak', () => {
  it('leaves that one out, says so, and does not end well', async () => {
    const context = recordingContext();
    const flags = { model: 'qwen3-4b', prompt: [2048], output: 512, cached: 0 };
    expect(
      await runCompare(['qualcomm-snapdragon-x2-elite-extreme', 'nvidia-rtx-5090'], flags, context),
    ).toBe(1);
    expect(context.err.join('\n')).toMatch(
      /prompts of Snapdragon X2 Elite Extreme cannot be predicted; it is left out/,
    );
    expect(context.out.join('\n')).toMatch(/^A {2}GeForce RTX 5090, cuda$/m);
    await expect(runCompare(['qualcomm-snapdragon-x2-elite-extreme'], flags, context)).rejects.toThrow(
      /None of the machines/,
    );
  });

  it('refuses a machine, or a backend, without a name', async () => {
    const context = recordingContext();
    const flags = { model: 'qwen3-4b', prompt: [2048], output: 512, cached: 0 };
    for (const text of ['@cuda', 'nvidia-rtx-5090@'])
      await expect(runCompare([text], flags, context)).rejects.toThrow(/is no machine; write MACHINE/);
  });
});

describe('a board without a GPU of use', () => {
  it('computes on its cores where no backend is named', async () => {
    const target = await openTarget('raspberry-pi-5', undefined);
    expect([target.backend.family, target.device.unit]).toEqual(['cpu', 'cpu']);
    const gpu = await openTarget('nvidia-jetson-orin-nano-super', undefined);
    expect(gpu.backend.family).toBe('cuda');
  });
});

describe('a number of layers', () => {
  it('is -1 for all, as llama.cpp has it, and nothing that no model has', () => {
    expect(layerCount('-1')).toBeGreaterThanOrEqual(512);
    expect(layerCount('20')).toBe(20);
    expect(() => layerCount('-2')).toThrow(/no number of layers/);
    expect(() => layerCount('9999')).toThrow(/no number of layers/);
  });
});
