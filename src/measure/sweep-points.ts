import type { BenchTest } from '../engine/index.ts';
import type { PointSettings, SweepModel, SweepPoint } from './sweep.ts';

/** Lists of values as the command line gives them; a sweep is their product. */
export interface SweepGrid {
  readonly models: readonly SweepModel[];
  readonly promptTokens: readonly number[];
  readonly generatedTokens: readonly number[];
  /** Prompt and generation timed as one test. */
  readonly promptAndGenerated: readonly (readonly [prompt: number, generated: number])[];
  readonly depthTokens: readonly number[];
  readonly settings: { readonly [Key in keyof PointSettings]: readonly PointSettings[Key][] };
}

/** One setting: everything where the backend computes, and the defaults of llama.cpp (`common_params`, common/common.h v0.5.0). */
export function usualSettings(threads: number): SweepGrid['settings'] {
  return {
    gpuLayers: [-1],
    cpuMoeLayers: [0],
    batchTokens: [2048],
    ubatchTokens: [512],
    cacheTypeK: ['f16'],
    cacheTypeV: ['f16'],
    flashAttention: ['auto'],
    threads: [threads],
  };
}

/**
 * Every point of a grid, in llama-bench's order: models outermost, so that each is prepared once; then the settings;
 * then the depth; then all pp, all tg, all pg tests (llama-bench.cpp, get_cmd_params_instances).
 */
export function sweepPoints(grid: SweepGrid): SweepPoint[] {
  const points: SweepPoint[] = [];
  for (const model of grid.models) {
    for (const settings of settingsProduct(grid.settings)) {
      for (const depthTokens of grid.depthTokens) {
        for (const test of testsAt(grid, depthTokens)) points.push({ model, settings, test });
      }
    }
  }
  return points;
}

function testsAt(grid: SweepGrid, depthTokens: number): BenchTest[] {
  const pp = grid.promptTokens.map((promptTokens) => ({ promptTokens, generatedTokens: 0, depthTokens }));
  const tg = grid.generatedTokens.map((generatedTokens) => ({
    promptTokens: 0,
    generatedTokens,
    depthTokens,
  }));
  const pg = grid.promptAndGenerated.map(([promptTokens, generatedTokens]) => ({
    promptTokens,
    generatedTokens,
    depthTokens,
  }));
  // A length of 0 switches a kind of test off, as in llama-bench.
  return [...pp, ...tg, ...pg].filter((test) => test.promptTokens + test.generatedTokens > 0);
}

function settingsProduct(lists: SweepGrid['settings']): PointSettings[] {
  const points: PointSettings[] = [];
  for (const gpuLayers of lists.gpuLayers)
    for (const cpuMoeLayers of lists.cpuMoeLayers)
      for (const batchTokens of lists.batchTokens)
        for (const ubatchTokens of lists.ubatchTokens)
          for (const cacheTypeK of lists.cacheTypeK)
            for (const cacheTypeV of lists.cacheTypeV)
              for (const flashAttention of lists.flashAttention)
                for (const threads of lists.threads)
                  points.push({
                    gpuLayers,
                    cpuMoeLayers,
                    batchTokens,
                    ubatchTokens,
                    cacheTypeK,
                    cacheTypeV,
                    flashAttention,
                    threads,
                  });
  return points;
}
