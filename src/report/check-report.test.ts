import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { exampleRecord, failedWith, firstLayers } from '../../test/fixtures/measurement-record.ts';
import { captureSchema } from '../machine/capture.ts';
import { identify } from '../machine/index.ts';
import type { MeasurementRecord } from '../measure/index.ts';
import { bytes, bytesPerSecond, flopPerSecond, seconds } from '../units/index.ts';
import { buildCheckReport, type CheckFacts } from './check-report.ts';
import { renderCheckMarkdown, renderCheckText } from './check-text.ts';

const MACHINES = path.resolve(import.meta.dirname, '../../test/fixtures/machines');
const machine = identify(
  captureSchema.parse(JSON.parse(readFileSync(path.join(MACHINES, 'strix-halo-linux.json'), 'utf8'))),
);

/** Five repetitions of 4 and 8 layers: `perLayer` ms a layer and `besides` ms for the rest, as a perfect machine has. */
const sampled = (test: MeasurementRecord['test'], perLayer: number, besides: number): MeasurementRecord =>
  exampleRecord({
    test,
    exampleRuns: [4, 8].map((count) => ({
      layers: firstLayers(count),
      samplesNanoseconds: Array.from({ length: 5 }, () => (besides + count * perLayer) * 1e6),
    })),
  });

const product = { type: 'Q4_K', rows: 4096, columns: 4096, batch: 1 } as const;
const FACTS: CheckFacts = {
  createdAt: '2026-01-02T03:04:05.000Z',
  ridgepointVersion: '0.1.0',
  quick: false,
  machine,
  engine: {
    id: 'embedded:vulkan',
    version: '0.5.0',
    buildCommit: '0ad4a86',
    buildNumber: 1,
    backends: 'Vulkan',
    cpuInfo: 'a processor',
    gpuInfo: 'a GPU',
    devices: [],
    ruler: null,
  },
  threads: 16,
  measuredCeilings: {
    bandwidth: {
      value: bytesPerSecond(2e11),
      low: bytesPerSecond(1.9e11),
      high: bytesPerSecond(2.1e11),
      product,
    },
    matmul: { value: flopPerSecond(3e13), low: flopPerSecond(2.9e13), high: flopPerSecond(3.1e13), product },
  },
  runs: [
    {
      name: 'a-model:Q4_K_M',
      parameters: 8e9,
      activeParameters: 8e9,
      sizeBytes: bytes(4.5e9),
      activeWeightBytes: bytes(4e9),
      layersRun: [4, 8],
      layers: 32,
      promptTokens: 512,
      generatedTokens: 64,
      records: [
        sampled({ promptTokens: 512, generatedTokens: 0, depthTokens: 0 }, 20, 10),
        sampled({ promptTokens: 0, generatedTokens: 64, depthTokens: 0 }, 50, 100),
        sampled({ promptTokens: 512, generatedTokens: 0, depthTokens: 2048 }, 25, 10),
      ],
    },
  ],
  notRun: [{ name: 'too-large:Q8_0', reason: 'It does not fit.' }],
  recordsFile: 'results.jsonl',
  durationSeconds: seconds(100),
};

describe('the report of a check', () => {
  const report = buildCheckReport(FACTS);

  it('compares generation with its bandwidth roof', () => {
    const [model] = report.models;
    // 64 tokens in 1.7 s; 200 GB/s by 4 GB a token.
    expect(model?.generatedTokensPerSecond).toMatchObject({ found: { value: expect.closeTo(64 / 1.7, 3) } });
    expect(model?.generationRoofTokensPerSecond).toEqual({ found: 50 });
    expect(model?.shareOfRoof).toMatchObject({ found: { value: expect.closeTo(0.753, 2) } });
  });

  it('sums the pieces of a long prompt', () => {
    // Eight pieces of 650 ms, and 160 ms more for each 2048 tokens before them: 5.2 + 0.08 x (0 + 0.5 + ... + 3.5) x 2 s.
    const [first] = report.models[0]?.timeToFirstToken ?? [];
    expect(first).toMatchObject({
      promptTokens: 4096,
      seconds: { found: { value: expect.closeTo(6.32, 2) } },
    });
  });

  it('believes no rate above its roof', () => {
    const [run] = FACTS.runs;
    if (run === undefined) throw new Error('no run');
    const fast = sampled({ promptTokens: 0, generatedTokens: 64, depthTokens: 0 }, 10, 10);
    const above = buildCheckReport({ ...FACTS, runs: [{ ...run, records: [fast] }] });
    expect(above.models[0]?.shareOfRoof).toMatchObject({ missing: expect.stringMatching(/times the roof/) });
  });

  it('says the engine’s reason where a point failed, and that nothing follows from it', () => {
    const [run] = FACTS.runs;
    if (run === undefined) throw new Error('no run');
    const failed = exampleRecord({
      ...failedWith('gpu-hang', 'The GPU stopped answering.'),
      test: { promptTokens: 512, generatedTokens: 0, depthTokens: 0 },
    });
    const text = renderCheckText(buildCheckReport({ ...FACTS, runs: [{ ...run, records: [failed] }] }));
    expect(text).toContain('unknown: The GPU stopped answering.');
    expect(text).toContain('unknown: not measured');
  });

  it.each([
    ['text', renderCheckText(report)],
    ['Markdown', renderCheckMarkdown(report)],
  ])('says everything in %s, and never prints what is no number', (_, text) => {
    expect(text).toContain('a-model:Q4');
    expect(text).toContain('too-large:Q8');
    expect(text).toContain('200 GB/s');
    expect(text).not.toMatch(/NaN|undefined|null|Infinity/);
  });

  it('is the same from the same facts', () => {
    expect(JSON.stringify(buildCheckReport(FACTS))).toBe(JSON.stringify(report));
  });
});
