import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedVariants } from '../engine/host/index.ts';
import { probeRecordSchema, type ProbeRecord } from '../measure/index.ts';
import type { ProbeReport } from '../report/index.ts';

const MAIN = path.resolve(import.meta.dirname, 'main.ts');
/** Sizes that a device in software does in a second. */
const SMALL = [
  '--types',
  'Q4_0',
  '--range',
  '64,129,64',
  '--k-range',
  '256,257,256',
  '--steady-seconds',
  '0',
  '--largest',
  '64KiB',
];

const installed = (variant: string): boolean =>
  embeddedVariants().some((build) => build.variant === variant && build.directory !== null);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ridgepoint-probe-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const environment = (home: string, extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => {
  const own = path.join(folder, home);
  return { ...process.env, XDG_DATA_HOME: own, XDG_CONFIG_HOME: own, XDG_CACHE_HOME: own, ...extra };
};

function ridgepoint(argv: readonly string[], home: string, extra: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...argv], {
    encoding: 'utf8',
    env: environment(home, extra),
  });
  return { exitCode: status, stdout, stderr };
}

function recordsOf(home: string): ProbeRecord[] {
  const file = path.join(folder, home, 'ridgepoint', 'probes.jsonl');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.map((line) => probeRecordSchema.parse(JSON.parse(line)));
}

/** Every part of the report is there, or says why not. */
function partsOf(report: ProbeReport): Record<string, boolean> {
  const { bandwidth, gemm, transfer, roofline, telemetry } = report;
  return {
    bandwidth: 'found' in bandwidth && bandwidth.found.levels.some(({ name }) => name === 'memory'),
    gemm: 'found' in gemm && gemm.found.results.every(({ shapesTimed }) => shapesTimed >= 1),
    transfer: 'found' in transfer && transfer.found.curves.some(({ memory }) => memory === 'pinned'),
    roofline: 'found' in roofline,
    telemetry: telemetry !== null,
  };
}

describe.skipIf(process.platform !== 'linux' || !installed('vulkan'))('probe on a device in software', () => {
  it('does every part, and says which sensors are missing', { timeout: 240_000 }, () => {
    const svg = path.join(folder, 'roofline.svg');
    const argv = ['probe', ...SMALL, '--search-seconds', '60', '--backend', 'vulkan', '--json', '--svg', svg];
    const { exitCode, stdout } = ridgepoint(argv, 'vulkan', { GGML_VK_VISIBLE_DEVICES: '0' });
    expect(exitCode).toBe(0);
    const report = JSON.parse(stdout) as ProbeReport;
    expect(report.device.name).toBe('Vulkan0');
    expect(partsOf(report)).toEqual({
      bandwidth: true,
      gemm: true,
      transfer: true,
      roofline: true,
      telemetry: true,
    });
    expect(report.telemetry?.gpuPowerWatts.known).toBe(false);
    expect(readFileSync(svg, 'utf8')).toMatch(/^<svg [^]*Q4_0 [\d.]+ GFLOP\/s[^]*<\/svg>\n$/);
    expect(recordsOf('vulkan').at(-1)?.subject).toEqual({ kind: 'end' });
  });
});

describe.skipIf(!installed('cpu'))('probe gemm', () => {
  it('says that torch is missing, and does the rest', () => {
    const argv = ['probe', 'gemm', ...SMALL, '--backend', 'cpu', '--with', 'torch'];
    const { exitCode, stdout } = ridgepoint(argv, 'torch', { PATH: folder });
    expect(exitCode).toBe(0);
    expect(stdout).toContain('PyTorch was left out. There is no python3 on the PATH');
    expect(stdout).toMatch(/Q4_0 +best/);
    expect(stdout).toMatch(/not measured: it needs the bandwidth probe/);
  });

  it('keeps what it has on Ctrl-C, and goes on from there', { timeout: 120_000 }, async () => {
    const argv = ['probe', 'gemm', ...SMALL, '--backend', 'cpu', '--steady-seconds', '3'];
    const child = spawn(process.execPath, [MAIN, ...argv], { env: environment('stopped'), stdio: 'pipe' });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = once(child, 'close') as Promise<[number]>;
    // The four shapes are soon timed; the run without a pause then takes three seconds.
    while (recordsOf('stopped').length < 4 && child.exitCode === null)
      await new Promise((go) => setTimeout(go, 50));
    child.kill('SIGINT');
    const [exitCode] = await ended;
    expect(exitCode).toBe(130);
    expect(stderr).toMatch(/Stopped; 4 timings are kept/);
    const again = ridgepoint(argv, 'stopped');
    expect(again.stderr).toMatch(/Going on with an interrupted probe: 4 timings are done/);
    const timed = recordsOf('stopped').filter(({ subject }) => subject.kind === 'matmul');
    expect(timed).toHaveLength(5);
  });

  it.each([
    { argv: ['--range', '1,2'], reason: "'1,2' is no range; write START,STOP,STEP" },
    { argv: ['--range', '5,5,1'], reason: "'5,5,1' has no values" },
    { argv: ['--types', 'Q99'], reason: "'Q99' is no type of ggml" },
    { argv: ['--device', 'Abacus0', '--backend', 'cpu'], reason: 'has no device Abacus0, but CPU' },
    { argv: ['--datasheet', 'nvidia-rtx-4090', '--backend', 'cpu'], reason: 'describes a GPU, but CPU' },
    { argv: ['--datasheet', 'rtx-99', '--backend', 'cpu'], reason: "There is no device 'rtx-99'" },
  ])('refuses $argv', ({ argv, reason }) => {
    const { exitCode, stderr } = ridgepoint(['probe', 'gemm', ...argv], 'refused');
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(reason);
  });
});
