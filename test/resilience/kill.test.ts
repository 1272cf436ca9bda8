import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeSynthetic } from '../../src/model/host/index.ts';
import { seededRandom } from '../../src/stats/index.ts';
import { tinyShape } from '../fixtures/tiny-shapes.ts';
import { homeIn, logOf, processesOf, recordsOf, run, start, until, workerOf, type Home } from './command.ts';

const KILLS = 50;
/** Another seed is another story: RIDGEPOINT_KILL_SEED repeats one that failed. */
const SEED = Number(process.env['RIDGEPOINT_KILL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** A process that its parent's death ends is gone long before. */
const ORPHAN_MILLISECONDS = 2000;
const POINTS = 6;

let root = '';
let home: Home;
let argv: readonly string[] = [];
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'ridgepoint-kill-'));
  home = homeIn(root);
  const model = path.join(home.folder, 'tiny.gguf');
  await writeSynthetic({ shape: tinyShape('llama'), mix: 'Q4_0', path: model });
  argv = ['bench', model, '-p', '8,16,24,32', '-n', '4,8', '-r', '2', '--backend', 'cpu'];
});
afterAll(() => rm(root, { recursive: true, force: true }));

const logBytes = (): Buffer => (existsSync(logOf(home)) ? readFileSync(logOf(home)) : Buffer.alloc(0));

/** Kills with SIGKILL, which nothing can catch. @returns false when it was too late. */
function kill(pid: number | null | undefined): boolean {
  try {
    return pid !== null && pid !== undefined && process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

/** Runs the command and kills it, or its engine, after a while. @returns whether there was still something to kill. */
async function interrupted(victim: 'parent' | 'engine', milliseconds: number): Promise<boolean> {
  const command = start(argv, home);
  const state = { over: false };
  const ended = command.ended.then(() => (state.over = true));
  await Promise.race([ended, sleep(milliseconds)]);
  let killed = false;
  if (victim === 'parent') {
    killed = !state.over && kill(command.process.pid);
  } else {
    // Between two points there is no engine; the next one is not far.
    await until(() => state.over || (killed = kill(workerOf(home))), 10_000);
  }
  await ended;
  return killed;
}

/** By run, the records in the order of the log. */
function runs(): Map<string, ReturnType<typeof recordsOf>> {
  const byRun = new Map<string, ReturnType<typeof recordsOf>>();
  for (const record of recordsOf(home)) {
    byRun.set(record.sweep.run, [...(byRun.get(record.sweep.run) ?? []), record]);
  }
  return byRun;
}

describe.skipIf(process.platform !== 'linux')(`a sweep that is killed (seed ${SEED})`, () => {
  it(`loses no point and measures none twice, in ${KILLS} kills at random moments`, async () => {
    // The first one also warms the disk's cache up.
    let whole = 0;
    for (let round = 0; round < 2; round += 1) {
      const began = performance.now();
      expect((await run(argv, home)).exitCode).toBe(0);
      whole = performance.now() - began;
    }
    const random = seededRandom(SEED);
    const kills = { parent: 0, engine: 0 };
    while (kills.parent + kills.engine < KILLS) {
      const before = logBytes();
      const victim = random() < 0.7 ? 'parent' : 'engine';
      if (await interrupted(victim, random() * 1.1 * whole)) kills[victim] += 1;

      const orphansGone = await until(() => processesOf(home).length === 0, ORPHAN_MILLISECONDS);
      expect(orphansGone, 'a process outlived its parent').toBe(true);
      const after = logBytes();
      expect(after.subarray(0, before.length).equals(before), 'the log is only added to').toBe(true);
      expect(() => recordsOf(home), 'every line is a record').not.toThrow();
    }
    expect(kills.parent).toBeGreaterThan(5);
    expect(kills.engine).toBeGreaterThan(5);

    // What is left of the last sweep is finished by running the command again.
    const { exitCode } = await run(argv, home);
    expect(exitCode).toBe(0);
    const sweeps = [...runs().values()];
    expect(sweeps.length).toBeGreaterThan(2);
    for (const records of sweeps) {
      expect(measuredIndices(records)).toEqual(Array.from({ length: POINTS }, (_, index) => index));
      for (const { outcome, failure } of records.filter((record) => record.outcome !== 'measured')) {
        expect([outcome, failure?.signal]).toEqual(['crashed', 'SIGKILL']);
      }
    }
  }, 600_000);

  it('prints a run that was complete but not yet printed, and measures nothing', async () => {
    home = homeIn(await mkdtemp(path.join(home.folder, 'unprinted-')));
    const first = await run(argv, home);
    const before = logBytes();
    const [finished] = [...runs().keys()];
    const folder = path.join(path.dirname(logOf(home)), 'open-runs');
    expect(readdirSync(folder)).toEqual([]);
    writeFileSync(path.join(folder, finished ?? ''), '');
    const again = await run(argv, home);
    expect(again).toMatchObject({ exitCode: 0, stdout: first.stdout });
    expect(logBytes().equals(before)).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('takes a line that was torn in the middle for no record, and measures its point again', async () => {
    home = homeIn(await mkdtemp(path.join(home.folder, 'torn-')));
    await run(argv, home);
    const whole = logBytes();
    await truncate(logOf(home), whole.length - 100);
    const { exitCode, stderr } = await run(argv, home);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('5 of 6 points are done');
    const lines = logBytes().toString().trimEnd().split('\n');
    expect(lines).toHaveLength(whole.toString().trimEnd().split('\n').length + 1);
    expect(lines.filter((line) => !isJson(line))).toHaveLength(1);
  });
});

const measuredIndices = (records: ReturnType<typeof recordsOf>): number[] =>
  records
    .filter(({ outcome }) => outcome === 'measured')
    .map(({ sweep }) => sweep.index)
    .sort((a, b) => a - b);

function isJson(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}
