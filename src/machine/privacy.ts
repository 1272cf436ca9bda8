/**
 * What is dropped before a capture is stored. Each source keeps a named part of its text wherever it could hold a
 * serial number, an address, a name or an id of one machine; `anonymous` runs over everything that remains.
 */

const UUID = /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi;
const MAC_ADDRESS = /\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/gi;
const HOME = /((?:^|[\s"':;=(,])(?:\/home|\/Users|\/var\/home|[A-Z]:\\Users)[\\/])[^\\/\s"':;]+/gi;

/** Replaces UUIDs, MAC addresses and the names of home directories. */
export function anonymous(text: string): string {
  return text.replaceAll(UUID, '<uuid>').replaceAll(MAC_ADDRESS, '<mac>').replaceAll(HOME, '$1<user>');
}

function keepLines(text: string, keep: RegExp): string {
  return text
    .split(/\r?\n/)
    .filter((line) => keep.test(line))
    .join('\n');
}

/** A filter that keeps the lines that match. */
export const linesThat =
  (keep: RegExp) =>
  (text: string): string =>
    keepLines(text, keep);

/** Fields that differ between the logical CPUs of one kind, and the serial number that Raspberry Pi boards print. */
const PER_CPU_FIELD =
  /^(processor|core id|apicid|initial apicid|physical id|cpu MHz|bogomips|BogoMIPS|Serial)\s*:/;

/**
 * /proc/cpuinfo with one block for each kind of core: the counts come from sysfs, and 200 equal blocks say no more
 * than one.
 */
export function condenseCpuinfo(text: string): string {
  const seen = new Set<string>();
  const kept: string[] = [];
  for (const block of text.split(/\n\s*\n/)) {
    const lines = block.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('Serial'));
    const kind = lines.filter((line) => !PER_CPU_FIELD.test(line)).join('\n');
    if (kind === '' || seen.has(kind)) continue;
    seen.add(kind);
    kept.push(lines.join('\n'));
  }
  return `${kept.join('\n\n')}\n`;
}

/** Kernel parameters that can change a result; the others may name disks, hosts or secrets. */
const KERNEL_PARAMETER =
  /^(amdgpu\.|amdttm\.|ttm\.|amd_iommu|intel_iommu|iommu|amd_pstate|intel_pstate|mitigations|transparent_hugepage|hugepages|default_hugepagesz|hugepagesz|isolcpus|nohz_full|rcu_nocbs|processor\.max_cstate|intel_idle\.max_cstate|cpuidle\.|idle|nosmt|maxcpus|nr_cpus|mem|numa_balancing|nvidia|i915\.|xe\.|preempt|threadirqs|clocksource|tsc|pci|pcie_aspm|pcie_ports)/;

/** The command line of the kernel, without what has no bearing on speed. */
export function keepKernelParameters(text: string): string {
  return text
    .trim()
    .split(/\s+/)
    .filter((token) => KERNEL_PARAMETER.test(token))
    .join(' ');
}

/**
 * A raw SMBIOS type 17 structure as hexadecimal, without the strings behind its formatted area: they hold the serial
 * number and asset tag. The second byte is the length of the formatted area.
 */
export function keepDmiFormattedArea(hexadecimal: string): string {
  const length = Number.parseInt(hexadecimal.slice(2, 4), 16);
  return Number.isNaN(length) ? '' : hexadecimal.slice(0, length * 2);
}

/** A JSON document with only the named keys at any depth; text that is not JSON is dropped whole. */
export function keepJsonKeys(keys: ReadonlySet<string>): (text: string) => string {
  const strip = (value: unknown, depth: number): unknown => {
    if (depth > 12) return null;
    if (Array.isArray(value)) return value.map((item: unknown) => strip(item, depth + 1));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .filter(([key]) => keys.has(key))
        .map(([key, item]: [string, unknown]) => [key, strip(item, depth + 1)]),
    );
  };
  return (text) => {
    try {
      return `${JSON.stringify(strip(JSON.parse(text), 0), null, 1)}\n`;
    } catch {
      return '';
    }
  };
}
