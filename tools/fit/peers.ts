import { scoreCells, type CellScore, type Scored } from '../../src/predict/accuracy.ts';
import type { EvidenceRow } from './rows.ts';

/**
 * The formulas of other tools, as their sources state them, with the true bandwidth, the true bytes and the active
 * weights handed to them: what they could do at best. None knows a backend.
 */
interface Peer {
  readonly name: string;
  readonly formula: string;
  readonly generation: (row: PeerInput) => number;
  readonly prompt: ((row: PeerInput) => number) | null;
}

interface PeerInput {
  readonly bandwidth: number;
  readonly peak: number | null;
  readonly vendor: string;
  readonly activeBytes: number;
  readonly allBytes: number;
  readonly activeWeights: number;
  readonly allWeights: number;
  readonly cacheBytes: number;
  readonly isMixture: boolean;
  readonly denseBytes: number;
  readonly activeExpertBytes: number;
}

const PEERS: readonly Peer[] = [
  {
    name: 'llmfit',
    formula: 'dense: 0.55 x bandwidth / bytes; experts: bandwidth / (active experts + 3.2 x the rest)',
    generation: (row) =>
      row.isMixture
        ? row.bandwidth / (row.activeExpertBytes + 3.2 * row.denseBytes)
        : (0.55 * row.bandwidth) / row.allBytes,
    prompt: null,
  },
  {
    name: 'gguf-parser',
    formula: 'max(2 x weights / FLOPS, all bytes / bandwidth) + 4 x KV / bandwidth',
    generation: (row) =>
      1 /
      (Math.max((2 * row.allWeights) / (row.peak ?? Number.POSITIVE_INFINITY), row.allBytes / row.bandwidth) +
        (4 * row.cacheBytes) / row.bandwidth),
    prompt: null,
  },
  {
    name: 'whichllm',
    formula: 'vendor factor (AMD 0.78, Apple 0.82) x bandwidth / active bytes',
    generation: (row) =>
      ((row.vendor === 'amd' ? 0.78 : row.vendor === 'apple' ? 0.82 : 1) * row.bandwidth) / row.activeBytes,
    prompt: null,
  },
  {
    name: 'canirun.ai',
    formula: '0.70 (Apple 0.65) x bandwidth / (1.1 x active bytes + 0.5 GB)',
    generation: (row) =>
      ((row.vendor === 'apple' ? 0.65 : 0.7) * row.bandwidth) / (1.1 * row.activeBytes + 5e8),
    prompt: null,
  },
  {
    name: 'huggingface-estimate',
    formula: '0.85 x bandwidth / (active bytes + KV); prompts at 15 % of the peak',
    generation: (row) => (0.85 * row.bandwidth) / (row.activeBytes + row.cacheBytes),
    prompt: (row) => (0.15 * (row.peak ?? Number.NaN)) / (2 * row.activeWeights),
  },
  {
    name: 'plain roofline',
    formula: 'bandwidth / active bytes; prompts at the peak',
    generation: (row) => row.bandwidth / row.activeBytes,
    prompt: (row) => (row.peak ?? Number.NaN) / (2 * row.activeWeights),
  },
];

export interface PeerScore {
  readonly name: string;
  readonly formula: string;
  readonly cells: readonly CellScore[];
}

/** Scores every formula on the same rows: llama.cpp's own, on GPUs and Macs. */
export function scorePeers(rows: readonly EvidenceRow[]): PeerScore[] {
  const own = rows.filter(
    (row) =>
      row.prepared.configuration.engine === 'llama.cpp' && row.prepared.configuration.device.unit === 'gpu',
  );
  return PEERS.map(({ name, formula, generation, prompt }) => {
    const scored = own.flatMap((row): Scored[] => {
      const input = inputOf(row);
      const predicted = row.metric === 'prompt' ? (prompt?.(input) ?? Number.NaN) : generation(input);
      if (!Number.isFinite(predicted)) return [];
      return [
        {
          device: row.publishedDevice,
          cell: row.cell,
          predicted,
          measured: row.measurement.tokensPerSecond,
          low: null,
          high: null,
        },
      ];
    });
    return { name, formula, cells: scoreCells(scored) };
  });
}

function inputOf(row: EvidenceRow): PeerInput {
  const { device, work, bytes, keyBytes, valueBytes } = row.prepared.configuration;
  const share = work.experts === null ? 0 : work.experts.used / work.experts.count;
  const dense = bytes.dense + bytes.head;
  let cacheBytes = 0;
  for (const { layers, keyValues, valueValues } of work.attention) {
    cacheBytes += layers * row.prepared.context * (keyValues * keyBytes + valueValues * valueBytes);
  }
  return {
    bandwidth: device.bandwidthBytesPerSecond,
    peak: device.peaks.fp16 ?? device.peaks.fp32,
    vendor: device.vendor,
    activeBytes: dense + bytes.experts * share,
    allBytes: dense + bytes.experts,
    activeWeights: work.denseWeights + work.headWeights + work.expertWeights * share,
    allWeights: work.denseWeights + work.headWeights + work.expertWeights,
    cacheBytes,
    isMixture: work.experts !== null,
    denseBytes: dense,
    activeExpertBytes: bytes.experts * share,
  };
}
