import { readdirSync, readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { seconds } from '../../units/index.ts';
import { known, readFrom, unknown, type Fact } from '../fact.ts';
import { parseThrottleResidencies } from '../parse/gpu-metrics.ts';
import { parseCount } from '../parse/lists.ts';
import { parseProcessStat, parseResident, parseSystemTicks } from '../parse/proc-process.ts';
import type { CpuTicks, TelemetryReading } from '../telemetry.ts';

const RAPL = '/sys/class/powercap/intel-rapl:0';
const HWMON = '/sys/class/hwmon';
const POLICIES = '/sys/devices/system/cpu/cpufreq';
const CPU_THROTTLE = '/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count';
/** Drivers of the temperature sensors within AMD and Intel processors. */
const CPU_SENSORS = new Set(['k10temp', 'zenpower', 'coretemp']);
/** Reading the clock of a CPU interrupts it, so only some are asked, and not at each reading. */
const MAX_CLOCKS_READ = 4;
const CLOCK_EVERY = 4;
/** Most generations of children that are followed. */
const MAX_GENERATIONS = 8;

/** A reader of this Linux machine. It looks for its files once and then reads about ten small ones each time. */
export function linuxTelemetry(pid: number): () => TelemetryReading {
  const energy = raplCounter();
  const sensors = namesIn(HWMON).map((name) => `${HWMON}/${name}`);
  const nameOf = (folder: string): string => valueOrEmpty(readText(`${folder}/name`)).trim();
  const cpuSensor = sensors.find((folder) => CPU_SENSORS.has(nameOf(folder)));
  const gpuSensor = sensors.find((folder) => nameOf(folder) === 'amdgpu');
  const noCpuSensor = unknown('no k10temp, zenpower or coretemp sensor is there', HWMON);
  const noGpuSensor = unknown('no amdgpu sensor is there', HWMON);
  const gpu = (file: string, scale: number): Fact<number> =>
    gpuSensor === undefined ? noGpuSensor : numberIn(`${gpuSensor}/${file}`, scale);
  const readClock = sparse(cpuClock);
  return () => {
    const power = gpu('power1_average', 1e-6);
    const resident = readFrom(
      readText(`/proc/${pid}/status`, '/proc/<pid>/status'),
      'VmRSS, VmHWM',
      parseResident,
    );
    return {
      atSeconds: seconds(performance.now() / 1e3),
      cpuEnergyJoules: energy(),
      // APUs call the same reading power1_input.
      gpuPowerWatts: power.known ? power : gpu('power1_input', 1e-6),
      cpuClockHertz: readClock(),
      gpuClockHertz: gpu('freq1_input', 1),
      cpuTemperatureCelsius:
        cpuSensor === undefined ? noCpuSensor : numberIn(`${cpuSensor}/temp1_input`, 1e-3),
      gpuTemperatureCelsius: gpu('temp1_input', 1e-3),
      gpuMemoryUsedBytes: gpuSensor === undefined ? noGpuSensor : gpuMemory(gpuSensor),
      throttleCounters: throttleCounters(gpuSensor),
      residentBytes: readFrom(resident, '', ({ now }) => now),
      peakResidentBytes: readFrom(resident, '', ({ peak }) => peak),
      majorFaults: readFrom(
        readText(`/proc/${pid}/stat`, '/proc/<pid>/stat'),
        'majflt',
        (text) => parseProcessStat(text)?.majorFaults,
      ),
      cpuTicks: cpuTicks(pid),
    };
  };
}

/** `source` stands for the path where that holds the number of a process, which says nothing in a record. */
function readText(path: string, source = path): Fact<string> {
  try {
    return known(readFileSync(path, 'utf8'), source);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    if (code === 'ENOENT' || code === 'ESRCH') return unknown('does not exist', source);
    return unknown(code === 'EACCES' ? 'permission denied' : `could not be read (${code})`, source);
  }
}

function valueOrEmpty(fact: Fact<string>): string {
  return fact.known ? fact.value : '';
}

function numberIn(path: string, scale: number): Fact<number> {
  return readFrom(readText(path), '', (text) => {
    const value = parseCount(text);
    return value === undefined ? undefined : value * scale;
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** The energy of the first package; the counter wraps at its stated range, several times an hour under load. */
function raplCounter(): () => Fact<number> {
  const range = numberIn(`${RAPL}/max_energy_range_uj`, 1);
  let wraps = 0;
  let before = 0;
  return () =>
    readFrom(numberIn(`${RAPL}/energy_uj`, 1), '', (microjoules) => {
      if (microjoules < before) wraps += 1;
      before = microjoules;
      if (wraps > 0 && !range.known) return undefined;
      return (microjoules + wraps * (range.known ? range.value : 0)) * 1e-6;
    });
}

/** Calls a reader at every CLOCK_EVERYth call only and says so in between. */
function sparse(read: () => Fact<number>): () => Fact<number> {
  let calls = 0;
  let latest: Fact<number> = unknown('was not read yet', POLICIES);
  return () => {
    if (calls % CLOCK_EVERY === 0) latest = read();
    calls += 1;
    return latest;
  };
}

/** The highest clock among a few policies: the cores that compute run fastest. */
function cpuClock(): Fact<number> {
  const policies = namesIn(POLICIES).filter((name) => name.startsWith('policy'));
  const step = Math.max(1, Math.floor(policies.length / MAX_CLOCKS_READ));
  const clocks = policies
    .filter((_, index) => index % step === 0)
    .slice(0, MAX_CLOCKS_READ)
    .map((name) => numberIn(`${POLICIES}/${name}/scaling_cur_freq`, 1e3))
    .flatMap((fact) => (fact.known ? [fact.value] : []));
  if (clocks.length > 0) return known(Math.max(...clocks), `${POLICIES}/policy<n>/scaling_cur_freq`);
  return readFrom(readText('/proc/cpuinfo'), 'cpu MHz', (text) => {
    const megahertz = [...text.matchAll(/^cpu MHz\s*: ([\d.]+)$/gm)].map((match) => Number(match[1]));
    return megahertz.length === 0 ? undefined : Math.max(...megahertz) * 1e6;
  });
}

/** What the GPU holds: its own memory and what it maps of the system's (GTT), which is where APUs keep weights. */
function gpuMemory(sensor: string): Fact<number> {
  const vram = numberIn(`${sensor}/device/mem_info_vram_used`, 1);
  const gtt = numberIn(`${sensor}/device/mem_info_gtt_used`, 1);
  if (!vram.known) return vram;
  return gtt.known ? known(vram.value + gtt.value, `${vram.source} + ${gtt.source}`) : gtt;
}

function throttleCounters(gpuSensor: string | undefined): Fact<Readonly<Record<string, number>>> {
  const counters: Record<string, number> = {};
  const sources: string[] = [];
  const packageCount = numberIn(CPU_THROTTLE, 1);
  if (packageCount.known) {
    counters['CPU package'] = packageCount.value;
    sources.push(CPU_THROTTLE);
  }
  let reason = packageCount.known ? '' : packageCount.reason;
  if (gpuSensor !== undefined) {
    const path = `${gpuSensor}/device/gpu_metrics`;
    try {
      const metrics = parseThrottleResidencies(readFileSync(path));
      if ('counters' in metrics) {
        Object.assign(counters, metrics.counters);
        sources.push(path);
      } else reason = metrics.reason;
    } catch {
      reason = `${path} could not be read`;
    }
  }
  return sources.length > 0 ? known(counters, sources.join(', ')) : unknown(reason, CPU_THROTTLE);
}

/** Ticks of the machine and of the process tree, read right after one another. */
function cpuTicks(pid: number): Fact<CpuTicks> {
  const own = processTreeTicks(pid, 0);
  if (!own.known) return own;
  return readFrom(readText('/proc/stat'), 'cpu, and /proc/<pid>/stat', (text) => {
    const system = parseSystemTicks(text);
    return system === undefined ? undefined : { process: own.value, ...system };
  });
}

/** Children are those of the main thread, which is the one that llama.cpp's programs start others from, if any. */
function processTreeTicks(pid: number, generation: number): Fact<number> {
  const own = readFrom(
    readText(`/proc/${pid}/stat`, '/proc/<pid>/stat'),
    'utime, stime',
    (text) => parseProcessStat(text)?.cpu,
  );
  if (!own.known) return own;
  const children = valueOrEmpty(readText(`/proc/${pid}/task/${pid}/children`)).trim();
  let ticks = own.value;
  if (children !== '' && generation < MAX_GENERATIONS) {
    for (const child of children.split(' ')) {
      const its = processTreeTicks(Number(child), generation + 1);
      // A child that has just ended is in the times of its parent at the next reading.
      if (its.known) ticks += its.value;
    }
  }
  return known(ticks, own.source);
}
