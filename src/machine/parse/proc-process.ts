import { KIB } from '../../units/index.ts';
import { parsePairs } from './lists.ts';

/** Processor time of the whole machine in ticks, from the first line of /proc/stat. */
export interface SystemTicks {
  readonly total: number;
  /** Neither idle, nor waiting for input and output, nor taken by the hypervisor. */
  readonly busy: number;
  /** Time in which the hypervisor ran something else. */
  readonly steal: number;
}

/** Reads /proc/stat. Guest time is already part of user time. Source: Linux, Documentation/filesystems/proc.rst. */
export function parseSystemTicks(text: string): SystemTicks | undefined {
  const fields = /^cpu\s+(.+)$/m.exec(text)?.[1]?.trim().split(/\s+/).map(Number);
  if (fields === undefined || fields.length < 8 || fields.some(Number.isNaN)) return undefined;
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softirq = 0, steal = 0] = fields;
  const busy = user + nice + system + irq + softirq;
  return { total: busy + idle + wait + steal, busy, steal };
}

/** What /proc/<pid>/stat tells of a process; times in ticks, with those of children that it has waited for. */
export interface ProcessTicks {
  readonly cpu: number;
  readonly majorFaults: number;
}

/** Reads /proc/<pid>/stat; the name of the program, in parentheses, may itself hold spaces and parentheses. */
export function parseProcessStat(text: string): ProcessTicks | undefined {
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .trim()
    .split(' ')
    .map(Number);
  // After the name: state is field 3, majflt 12, utime 14, stime 15, cutime 16, cstime 17.
  const at = (field: number): number => fields[field - 3] ?? Number.NaN;
  const cpu = at(14) + at(15) + at(16) + at(17);
  const majorFaults = at(12);
  return Number.isNaN(cpu) || Number.isNaN(majorFaults) ? undefined : { cpu, majorFaults };
}

/** Resident memory now and at its highest, in bytes, from /proc/<pid>/status; a zombie has neither. */
export function parseResident(text: string): { readonly now: number; readonly peak: number } | undefined {
  const pairs = parsePairs(text, ':');
  const kibibytes = (name: string): number =>
    Number(/^(\d+) kB$/.exec(pairs.get(name) ?? '')?.[1] ?? Number.NaN);
  const now = kibibytes('VmRSS') * KIB;
  const peak = kibibytes('VmHWM') * KIB;
  return Number.isNaN(now) || Number.isNaN(peak) ? undefined : { now, peak };
}
