import { known, unknown, valueOf, type Fact } from './fact.ts';
import type { MachineFacts } from './facts.ts';

/** How many threads to compute with, and why that many. */
export interface ThreadRecommendation {
  readonly threads: Fact<number>;
  readonly reason: string;
}

/**
 * The number of threads that llama.cpp takes by default, lowered to what this process may really use: a thread that
 * has to wait for a processor holds up all others at every barrier.
 */
export function recommendedThreads(facts: MachineFacts): ThreadRecommendation {
  const preset = facts.cpu.engineDefaultThreads;
  if (!preset.known) {
    return {
      threads: unknown(preset.reason, preset.source),
      reason: `the number of cores is unknown: ${preset.reason}`,
    };
  }
  const allowed = valueOf(facts.limits.allowedLogicalCpus);
  const quota = valueOf(facts.limits.cpuQuota);
  const limits: { readonly threads: number; readonly reason: string; readonly source: string }[] = [];
  if (allowed !== undefined && allowed < preset.value) {
    limits.push({
      threads: allowed,
      reason: `the processor affinity allows ${allowed} of the ${preset.value} that llama.cpp would use`,
      source: facts.limits.allowedLogicalCpus.source,
    });
  }
  if (quota !== undefined && quota !== 'unlimited' && quota < preset.value) {
    limits.push({
      threads: Math.max(1, Math.floor(quota)),
      reason: `the control group may use ${quota} processors, and llama.cpp would use ${preset.value}`,
      source: facts.limits.cpuQuota.source,
    });
  }
  const tightest = limits.sort((a, b) => a.threads - b.threads)[0];
  if (tightest !== undefined) {
    return { threads: known(tightest.threads, tightest.source), reason: tightest.reason };
  }
  return { threads: preset, reason: `llama.cpp's own default on this processor` };
}
