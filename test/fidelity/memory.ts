import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readModelRecords } from '../../src/catalog/host/index.ts';
import { EngineFailure, type ContextSettings } from '../../src/engine/index.ts';
import {
  COMPUTE_BACKENDS,
  DEFAULT_CONTEXT,
  kvCaches,
  resolveContext,
  shapeOf,
  type ModelShape,
} from '../../src/model/index.ts';
import { MIB } from '../../src/units/index.ts';
import { compareMemory, contextsOf, figuresOf, type Comparison, type Figure } from '../memory/compare.ts';
import { printRows } from './table.ts';

/** What people download most. */
const MIX = 'Q4_K_M';

const GPU_LIMITS = fileURLToPath(new URL('gpu-limits.c', import.meta.url));

/**
 * One model of each architecture, the one with the fewest layers, in every combination of contexts: the tables of
 * docs/memory.md. Vulkan is llvmpipe, which is made to report the limits of GPUs.
 */
export async function compareAllMemory(folder: string): Promise<void> {
  process.env['GGML_VK_VISIBLE_DEVICES'] = '0';
  // The engine's worker is started from its TypeScript source.
  process.env['NODE_OPTIONS'] = '--import tsx';
  await printComparison('cpu', compareMemory);
  const library = path.join(folder, 'gpu-limits.so');
  try {
    execFileSync('gcc', ['-shared', '-fPIC', '-O1', GPU_LIMITS, '-o', library, '-ldl']);
  } catch (error) {
    process.stdout.write(`Vulkan was left out: gcc is needed (${String(error)}).\n`);
    return;
  }
  // For the engine's workers: this process has loaded its libraries.
  process.env['LD_PRELOAD'] = library;
  await printComparison('vulkan', compareMemory);
}

/** How many compute buffers there were, and how near to the engine's. */
interface Tally {
  figures: number;
  near: number;
  close: number;
  equal: number;
}

/** Prints the table of one backend. */
export async function printComparison(
  variant: 'cpu' | 'vulkan',
  compare: typeof compareMemory,
): Promise<void> {
  process.stdout.write(`\n### ${variant}\n\n`);
  const tally: Tally = { figures: 0, near: 0, close: 0, equal: 0 };
  const rows: string[][] = [];
  for (const shape of smallestOfEachArchitecture()) {
    rows.push(await rowOf(shape, variant, compare, tally));
    process.stderr.write(`${variant} ${shape.architecture}\n`);
  }
  printRows(
    ['architecture', 'model', 'contexts', 'weights, state', 'worst compute buffer', 'engine', 'here'],
    rows,
  );
  process.stdout.write(
    `Of ${tally.figures} compute buffers ${tally.near} are within 10 % or 64 MiB, ${tally.close} within 5 % or 32 MiB, ${tally.equal} equal.\n`,
  );
}

function smallestOfEachArchitecture(): ModelShape[] {
  const chosen = new Map<string, ModelShape>();
  for (const shape of readModelRecords().map(shapeOf)) {
    const other = chosen.get(shape.architecture);
    if (other === undefined || shape.layers < other.layers) chosen.set(shape.architecture, shape);
  }
  return [...chosen.values()].sort((a, b) => a.architecture.localeCompare(b.architecture));
}

/** The engine aborts where it has to write to a cache that its device cannot take. */
function cachesFit(shape: ModelShape, variant: 'cpu' | 'vulkan', settings: ContextSettings): boolean {
  const { contextTokens, sequences, ubatchTokens } = settings;
  const context = resolveContext({ ...DEFAULT_CONTEXT, contextTokens, sequences, ubatchTokens });
  return kvCaches(shape, context).every(({ layers }) =>
    layers.every(
      ({ keyBytes, valueBytes }) =>
        Math.max(keyBytes, valueBytes) <= COMPUTE_BACKENDS[variant].maxTensorBytes,
    ),
  );
}

async function rowOf(
  shape: ModelShape,
  variant: 'cpu' | 'vulkan',
  compare: typeof compareMemory,
  tally: Tally,
): Promise<string[]> {
  const head = [shape.architecture, shape.id];
  let compared: Comparison[];
  try {
    const contexts = contextsOf(shape.contextLength).filter((context) => cachesFit(shape, variant, context));
    compared = await compare(shape, MIX, variant, contexts);
  } catch (error) {
    if (!(error instanceof EngineFailure)) throw error;
    return [...head, `the engine ${error.kind}`, '', '', '', ''];
  }
  let worst: { readonly figure: Figure; readonly settings: ContextSettings } | null = null;
  let isExact = true;
  let accepted = 0;
  for (const { settings, engine, computed } of compared) {
    if ('refusal' in engine || 'unsupported' in computed) {
      isExact &&= 'refusal' in engine && 'unsupported' in computed && engine.refusal === computed.unsupported;
      continue;
    }
    accepted += 1;
    const { weights, state, compute } = figuresOf(engine, computed);
    isExact &&= [weights, state].every(({ engineBytes, computedBytes }) => engineBytes === computedBytes);
    for (const figure of compute) {
      tally.figures += 1;
      if (isWithin(figure, 0.1, 64)) tally.near += 1;
      if (isWithin(figure, 0.05, 32)) tally.close += 1;
      if (differenceOf(figure) === 0) tally.equal += 1;
      if (worst === null || isWorse(figure, worst.figure)) worst = { figure, settings };
    }
  }
  return [
    ...head,
    accepted === compared.length ? String(accepted) : `${accepted}, ${compared.length - accepted} refused`,
    isExact ? 'exact' : 'differ',
    worst === null ? '' : describeContext(worst.settings),
    worst === null ? '' : mebibytes(worst.figure.engineBytes),
    worst === null ? '' : mebibytes(worst.figure.computedBytes),
  ];
}

const differenceOf = ({ engineBytes, computedBytes }: Figure): number =>
  Math.abs(engineBytes - computedBytes);

const isWithin = (figure: Figure, fraction: number, most: number): boolean =>
  differenceOf(figure) <= Math.max(fraction * figure.engineBytes, most * MIB);

/** How far a figure uses up what it is allowed: 1 is all of it. */
const excessOf = (figure: Figure): number =>
  differenceOf(figure) / Math.max(0.1 * figure.engineBytes, 64 * MIB);

/** Further from the engine's figure; of those that are equally far, the larger. */
const isWorse = (figure: Figure, than: Figure): boolean =>
  excessOf(figure) === excessOf(than)
    ? figure.engineBytes > than.engineBytes
    : excessOf(figure) > excessOf(than);

const mebibytes = (size: number): string => `${(size / MIB).toFixed(1)} MiB`;

function describeContext(settings: ContextSettings): string {
  const { contextTokens, ubatchTokens, flashAttention, sequences, cacheTypeK } = settings;
  return `${contextTokens} tokens, -ub ${ubatchTokens}, -fa ${flashAttention}, -np ${sequences}, ${cacheTypeK}`;
}
