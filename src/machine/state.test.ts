import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bytes, GIB } from '../units/index.ts';
import { known } from './fact.ts';
import { parseMachineFile } from './machine-file.ts';
import { canonicalState, stateDifferences, stateOf } from './state.ts';
import { recommendedThreads } from './threads.ts';
import type { MachineFacts } from './facts.ts';

const FIXTURES = new URL('../../test/fixtures/machines/', import.meta.url);
function machine(name: string): MachineFacts {
  const parsed = parseMachineFile(readFileSync(new URL(name, FIXTURES), 'utf8'));
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.facts;
}

describe('the state of a machine', () => {
  const facts = machine('strix-halo-linux.json');

  it('is the same for the same facts, whatever memory is free at the moment', () => {
    const later: MachineFacts = {
      ...facts,
      memory: { ...facts.memory, availableBytes: known(bytes(GIB), '/proc/meminfo: MemAvailable') },
    };
    expect(canonicalState(stateOf(later))).toBe(canonicalState(stateOf(facts)));
  });

  it('is sorted by name', () => {
    const names = Object.keys(stateOf(facts));
    expect(names).toEqual([...names].sort());
  });

  it('tells in words what changed', () => {
    const updated: MachineFacts = {
      ...facts,
      os: { ...facts.os, kernel: known('7.0.1', '/proc/sys/kernel/osrelease') },
      environment: { AMD_VULKAN_ICD: 'RADV', RADV_PERFTEST: 'nggc' },
    };
    expect(stateDifferences(stateOf(facts), stateOf(updated))).toEqual([
      'environment GGML_VK_VISIBLE_DEVICES was 0, is not set',
      'environment RADV_PERFTEST was not set, is nggc',
      'kernel was 6.18.9-200.fc43.x86_64, is 7.0.1',
    ]);
    expect(stateDifferences(stateOf(facts), stateOf(facts))).toEqual([]);
  });

  it('holds what only the caller knows', () => {
    const state = stateOf(facts, { 'engine build': 'v0.5.0' });
    expect(state['engine build']).toBe('v0.5.0');
    expect(canonicalState(state)).not.toBe(canonicalState(stateOf(facts)));
  });
});

describe('a saved machine', () => {
  const text = readFileSync(new URL('m4-max-macos.json', FIXTURES), 'utf8');

  it('is read as a capture or as facts, with the same result', () => {
    const facts = machine('m4-max-macos.json');
    expect(parseMachineFile(JSON.stringify(facts))).toEqual({ ok: true, facts });
  });

  it.each([
    ['', 'it is not JSON'],
    ['[]', 'it has no kind and schemaVersion'],
    ['{"kind":"ridgepoint-machine","schemaVersion":2}', 'its schemaVersion is 2, and this version reads 1'],
    ['{"kind":"ridgepoint-machine","schemaVersion":1}', 'system does not fit'],
    [text.replace('"platform": "darwin"', '"platform": 1'), 'platform does not fit'],
  ])('is refused with one sentence: %#', (broken, reason) => {
    const parsed = parseMachineFile(broken);
    expect(parsed).toMatchObject({ ok: false, error: expect.stringContaining(reason) });
    expect(parsed).toMatchObject({ error: expect.stringContaining('ridgepoint machine --save') });
  });
});

describe('the recommended number of threads', () => {
  const facts = machine('strix-halo-linux.json');
  const limited = (limits: Partial<MachineFacts['limits']>): MachineFacts => ({
    ...facts,
    limits: { ...facts.limits, ...limits },
  });

  it("is llama.cpp's own where nothing limits the process", () => {
    expect(recommendedThreads(facts)).toMatchObject({ threads: { known: true, value: 16 } });
  });

  it('is lowered by the affinity and by the quota of the control group, with the reason', () => {
    const affinity = recommendedThreads(limited({ allowedLogicalCpus: known(4, '/proc/self/status') }));
    expect(affinity).toMatchObject({ threads: { value: 4, source: '/proc/self/status' } });
    expect(affinity.reason).toContain('affinity allows 4 of the 16');
    const quota = recommendedThreads(
      limited({ allowedLogicalCpus: known(4, 'status'), cpuQuota: known(2.5, 'cpu.max') }),
    );
    expect(quota).toMatchObject({ threads: { value: 2, source: 'cpu.max' } });
  });

  it('is at least one, however small the quota', () => {
    expect(recommendedThreads(limited({ cpuQuota: known(0.5, 'cpu.max') }))).toMatchObject({
      threads: { value: 1 },
    });
  });
});
