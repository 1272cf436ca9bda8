import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CatalogDevice } from '../catalog/index.ts';
import { readDeviceRecords, readModelRecords } from '../catalog/host/index.ts';
import { shapeOf } from '../model/index.ts';
import { readParameters } from './host/index.ts';
import { Predictor, workOf, type Query } from './index.ts';
import { linkOf, offloaded, sendsWeights } from './offload.ts';

const DEVICES = readDeviceRecords();
const MODELS = readModelRecords();

/** Core i9-10900X with the four channels of DDR4 of which its owner measured 102 GB/s (AlexsJones/llmfit#755). */
function workstation(): CatalogDevice {
  const like = DEVICES.find(({ id }) => id === 'intel-core-i9-10900k');
  if (like === undefined) throw new Error('the catalogue has lost a processor');
  const memory = { ...like.memory, busBits: 256, dataRateMegatransfersPerSecond: 3200, stated: [] };
  return { ...like, id: 'i9-10900x', name: 'Core i9-10900X', aliases: [], memory };
}
const predictor = new Predictor(readParameters(), { devices: [...DEVICES, workstation()], models: MODELS });

const BASE: Query = { id: 1, device: 'nvidia-rtx-4090', model: 'qwen3-14b', quant: 'Q4_K_M', nGen: 128 };

function speedOf(query: Partial<Query>) {
  const answer = predictor.answer({ ...BASE, ...query });
  if ('error' in answer) throw new Error(answer.error.message);
  return answer;
}

describe('the parts of a model', () => {
  it('are together the whole, wherever the cut is', () => {
    const anyModel = fc.constantFrom(...MODELS.map((record) => shapeOf(record)));
    fc.assert(
      fc.property(anyModel, fc.nat({ max: 140 }), fc.nat({ max: 140 }), (shape, gpuLayers, cpuMoeLayers) => {
        const whole = workOf(shape);
        const { gpu, host } = offloaded(shape, { gpuLayers, cpuMoeLayers });
        expect(gpu.denseWeights + host.denseWeights).toBe(whole.denseWeights);
        expect(gpu.expertWeights + host.expertWeights).toBe(whole.expertWeights);
        expect(gpu.headWeights + host.headWeights).toBe(whole.headWeights);
        expect(gpu.operations + host.operations).toBe(whole.operations);
        expect(gpu.stateValues + host.stateValues).toBe(whole.stateValues);
        const layers = (work: typeof whole): number =>
          work.attention.reduce((sum, each) => sum + each.layers, 0);
        expect(layers(gpu) + layers(host)).toBe(layers(whole));
      }),
      { numRuns: 1000, seed: 5 },
    );
  });
});

describe('a model that is partly in the memory of the processor', () => {
  // Published by owners who name the processor; llama.cpp's server, so that a little of the prompt is in the figure.
  const measurements = [
    { model: 'qwen3-30b-a3b', quant: 'Q4_K_M', nCpuMoe: 36, measured: 36.7, source: 'AlexsJones/llmfit#755' },
    {
      model: 'deepseek-coder-v2-lite',
      quant: 'Q4_K_M',
      nCpuMoe: 16,
      measured: 49.6,
      source: 'AlexsJones/llmfit#778',
    },
    { model: 'gemma-2-9b', quant: 'Q4_K_M', nGpuLayers: 36, measured: 23.7, source: 'AlexsJones/llmfit#778' },
    {
      model: 'qwen2.5-14b',
      quant: 'Q4_K_M',
      nGpuLayers: 42,
      measured: 20.8,
      source: 'AlexsJones/llmfit#778',
    },
    {
      model: 'gemma-3-12b',
      quant: 'Q4_K_M',
      nGpuLayers: 44,
      measured: 26.1,
      source: 'AlexsJones/llmfit#774',
    },
    { model: 'qwen3-14b', quant: 'Q4_K_M', nGpuLayers: 32, measured: 16.9, source: 'AlexsJones/llmfit#774' },
    { model: 'phi-4', quant: 'Q4_K_M', nGpuLayers: 32, measured: 16.7, source: 'AlexsJones/llmfit#774' },
    { model: 'gpt-oss-20b', quant: 'MXFP4', nCpuMoe: 12, measured: 36.4, source: 'AlexsJones/llmfit#775' },
    {
      model: 'mistral-small-3.1-24b',
      quant: 'Q4_K_M',
      nGpuLayers: 16,
      measured: 5.2,
      source: 'AlexsJones/llmfit#775',
    },
  ];

  it('generates about as fast on an RTX 2080 as others measured, none of which the fit has seen', () => {
    const errors: number[] = [];
    let inside = 0;
    for (const { measured, source, ...rest } of measurements) {
      expect(source).toMatch(/#\d+$/);
      const query = { device: 'nvidia-rtx-2080', hostDevice: 'i9-10900x', backend: 'cuda', ...rest };
      const { tokensPerSecond, low, high, basis } = speedOf(query);
      expect(basis).toBe('physics');
      errors.push(Math.abs(tokensPerSecond / measured - 1));
      if (measured >= low && measured <= high) inside += 1;
    }
    errors.sort((a, b) => a - b);
    expect(errors[4]).toBeLessThan(0.25);
    expect(errors.at(-1)).toBeLessThan(0.6);
    expect(inside).toBeGreaterThanOrEqual(7);
  });

  it('generates faster with every layer more on a faster card, and is the whole model at last', () => {
    for (const model of ['qwen3-14b', 'qwen3-30b-a3b', 'gemma-3-12b']) {
      const at = (nGpuLayers: number | null): number =>
        speedOf({ model, nGpuLayers, hostDevice: 'amd-ryzen-7950x' }).tokensPerSecond;
      const speeds = [0, 1, 8, 16, 24, 32].map(at);
      expect(speeds).toEqual([...speeds].sort((a, b) => a - b));
      expect(at(99)).toBe(at(null));
      expect(at(99)).toBeGreaterThan(at(32));
    }
  });

  it('reads prompts faster with larger ubatches, as each is sent the weights anew', () => {
    const prompt = { nGpuLayers: 20, nGen: 0, nPrompt: 4096, hostDevice: 'amd-ryzen-7950x' };
    const [small, large] = [256, 2048].map((nUbatch) => speedOf({ ...prompt, nUbatch }).tokensPerSecond);
    expect(large ?? 0).toBeGreaterThan(2 * (small ?? 0));
  });

  it('is never faster than its roof, and its terms add up', () => {
    for (const test of [
      { metric: 'generation', context: 64 },
      { metric: 'prompt', tokens: 512 },
      { metric: 'prompt', tokens: 8 },
    ] as const) {
      const prepared = predictor.reader.prepare({ ...BASE, nGpuLayers: 20, hostDevice: 'amd-ryzen-7950x' });
      if ('code' in prepared) throw new Error(prepared.message);
      const prediction = predictor.predict(prepared.configuration, test, prepared.modelId);
      const { tokensPerSecond, roofTokensPerSecond, seconds, terms, low, high } = prediction;
      expect(tokensPerSecond).toBeLessThanOrEqual(roofTokensPerSecond);
      expect(terms.reduce((sum, term) => sum + term.seconds, 0)).toBeCloseTo(seconds, 12);
      expect(low).toBeLessThan(tokensPerSecond);
      expect(high).toBeGreaterThanOrEqual(tokensPerSecond);
      const sends = test.metric === 'prompt' && test.tokens >= 32;
      expect(terms.some(({ on }) => on === 'host')).toBe(!sends);
    }
  });

  it('needs a processor whose bandwidth is known, which a chip with both has', () => {
    expect(predictor.answer({ ...BASE, nGpuLayers: 20 })).toMatchObject({
      error: { code: 'no-host', message: expect.stringContaining('name it as hostDevice') },
    });
    expect(predictor.answer({ ...BASE, nGpuLayers: 20, hostDevice: 'abacus-9' })).toMatchObject({
      error: { code: 'unknown-device', message: expect.stringContaining('abacus-9') },
    });
    const own = speedOf({ device: 'amd-ryzen-ai-max-395', backend: 'vulkan', nGpuLayers: 20 });
    expect(own.basis).toBe('physics');
    // Without experts there are none to keep back.
    expect(speedOf({ nCpuMoe: 9 }).basis).not.toBe('physics');
    // A processor alone has all layers anyway.
    expect(speedOf({ device: 'amd-ryzen-7950x', backend: 'cpu', nGpuLayers: 5 }).basis).not.toBe('physics');
  });
});

describe('the link of a card', () => {
  it('is read from its name', () => {
    expect(linkOf('PCIe 4.0 x16')).toBeCloseTo(31.5e9, -8);
    expect(linkOf('PCIe 5.0 x8')).toBeCloseTo(31.5e9, -8);
    expect(linkOf('SXM')).toBeNull();
    expect(linkOf(null)).toBeNull();
  });

  it('carries weights for large batches alone, and not for OpenCL', () => {
    expect(sendsWeights('cuda', 32)).toBe(true);
    expect(sendsWeights('cuda', 31)).toBe(false);
    expect(sendsWeights('opencl', 512)).toBe(false);
  });
});

describe('a prompt with an answer (pg)', () => {
  it('takes the time of both', () => {
    const [both, prompt, answer] = [
      speedOf({ nPrompt: 2048, nGen: 256 }),
      speedOf({ nPrompt: 2048, nGen: 0 }),
      speedOf({ nPrompt: 0, nGen: 256, nDepth: 2048 }),
    ];
    const seconds = 2048 / (prompt?.tokensPerSecond ?? 0) + 256 / (answer?.tokensPerSecond ?? 0);
    expect(both?.tokensPerSecond).toBeCloseTo((2048 + 256) / seconds, 9);
    expect(both?.low).toBeLessThan(both?.tokensPerSecond ?? 0);
    expect(both?.high).toBeGreaterThan(both?.tokensPerSecond ?? 0);
  });
});
