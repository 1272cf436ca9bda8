import { bytes, hertz, parseBytes, type Bytes, type Hertz } from '../../units/index.ts';
import { readFrom, unknown, valueOf, known, type Fact } from '../fact.ts';
import { parseCount, parseCpuList } from './lists.ts';

/** The readings of a pattern, by path. */
export type FileFacts = Fact<ReadonlyMap<string, Fact<string>>>;

/** The known texts of a pattern, trimmed, by path. */
export function textsOf(files: FileFacts): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  if (!files.known) return texts;
  for (const [path, fact] of files.value) if (fact.known) texts.set(path, fact.value.trim());
  return texts;
}

/** How many different values the files of a pattern hold: cores by their sibling lists, sockets by their ids. */
export function countDistinct(files: FileFacts): Fact<number> {
  return readFrom(
    files,
    '',
    () => {
      const distinct = new Set(textsOf(files).values());
      return distinct.size === 0 ? undefined : distinct.size;
    },
    'none of the files could be read',
  );
}

/** The one value of all files, or the different ones joined: a machine with two governors has none that is true. */
export function agreedText(files: FileFacts): Fact<string> {
  return readFrom(
    files,
    '',
    () => {
      const distinct = [...new Set(textsOf(files).values())].filter((text) => text !== '').sort();
      return distinct.length === 0 ? undefined : distinct.join(' + ');
    },
    'none of the files could be read',
  );
}

/** The highest of the frequencies that cpufreq states in kHz. */
export function highestFrequency(files: FileFacts): Fact<Hertz> {
  return readFrom(
    files,
    '',
    () => {
      const values = [...textsOf(files).values()].map(parseCount).filter((value) => value !== undefined);
      return values.length === 0 ? undefined : hertz(Math.max(...values) * 1e3);
    },
    'none of the files could be read',
  );
}

/** Data caches of one level, summed over their instances: those that share the same CPUs are one. */
export function cacheTotal(
  level: number,
  levels: FileFacts,
  types: FileFacts,
  sizes: FileFacts,
  sharing: FileFacts,
): Fact<Bytes> {
  return readFrom(
    sizes,
    `level ${level}`,
    () => {
      const kinds = textsOf(types);
      const owners = textsOf(sharing);
      const sized = textsOf(sizes);
      const instances = new Map<string, number>();
      for (const [path, text] of textsOf(levels)) {
        const folder = path.slice(0, path.lastIndexOf('/'));
        const kind = kinds.get(`${folder}/type`);
        const size = parseBytes(sized.get(`${folder}/size`) ?? '');
        const owner = owners.get(`${folder}/shared_cpu_list`);
        if (text !== String(level) || kind === 'Instruction' || size === undefined || owner === undefined)
          continue;
        instances.set(owner, size);
      }
      let total = 0;
      for (const size of instances.values()) total += size;
      return total === 0 ? undefined : bytes(total);
    },
    'no cache of this level is listed',
  );
}

/** The kinds of cores of a processor and the number of threads that llama.cpp takes by default. */
export interface CoreKinds {
  readonly performanceCores: Fact<number>;
  readonly efficiencyCores: Fact<number>;
  readonly engineDefaultThreads: Fact<number>;
}

/**
 * Reads hybrid x86 processors as the kernel lists them. The default number of threads follows llama.cpp v0.5.0,
 * common/common.cpp `common_cpu_get_num_math`: all physical cores, or on a hybrid processor one for each pair of
 * neighbouring CPUs that is not of the efficiency kind (it skips the CPU after each one that it counts).
 */
export function coreKinds(
  online: Fact<string>,
  performance: Fact<string>,
  efficiency: Fact<string>,
  siblings: FileFacts,
): CoreKinds {
  const physical = countDistinct(siblings);
  const onlineCpus = parseCpuList(valueOf(online) ?? '') ?? [];
  const efficient = new Set(parseCpuList(valueOf(efficiency) ?? '') ?? []);
  if (!performance.known || !efficiency.known || efficient.size === 0) {
    const reason =
      'the kernel lists no different kinds of cores (they are listed on hybrid Intel processors)';
    return {
      performanceCores: unknown(reason, performance.source),
      efficiencyCores: unknown(reason, efficiency.source),
      engineDefaultThreads: physical,
    };
  }
  const coresAmong = (cpus: ReadonlySet<number>): number => {
    const cores = new Set<string>();
    for (const [path, list] of textsOf(siblings)) {
      const cpu = /cpu(\d+)\/topology/.exec(path)?.[1];
      if (cpu !== undefined && cpus.has(Number(cpu))) cores.add(list);
    }
    return cores.size;
  };
  let mathCpus = 0;
  for (let cpu = 0; cpu < onlineCpus.length; cpu += 1) {
    if (efficient.has(cpu)) continue;
    cpu += 1;
    mathCpus += 1;
  }
  return {
    performanceCores: known(
      coresAmong(new Set(parseCpuList(performance.value) ?? [])),
      `${performance.source}, ${siblings.source}`,
    ),
    efficiencyCores: known(coresAmong(efficient), `${efficiency.source}, ${siblings.source}`),
    engineDefaultThreads:
      mathCpus === 0 ? physical : known(mathCpus, `${efficiency.source}, counted as llama.cpp does`),
  };
}
