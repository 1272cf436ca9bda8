import { readFrom, unknown, type Fact } from '../fact.ts';
import type { CpuFeature } from '../facts.ts';
import { parsePairs } from './lists.ts';

/** Names of the kernel (x86 `flags`, ARM `Features`) for what ggml chooses kernels by. */
const FLAGS: Readonly<Record<string, CpuFeature>> = {
  sse4_2: 'sse4_2',
  avx: 'avx',
  avx2: 'avx2',
  fma: 'fma',
  f16c: 'f16c',
  avx_vnni: 'avx_vnni',
  avx512f: 'avx512f',
  avx512vbmi: 'avx512_vbmi',
  avx512_vnni: 'avx512_vnni',
  avx512_bf16: 'avx512_bf16',
  amx_tile: 'amx_tile',
  amx_int8: 'amx_int8',
  amx_bf16: 'amx_bf16',
  asimd: 'neon',
  neon: 'neon',
  asimdhp: 'fp16',
  asimddp: 'dotprod',
  i8mm: 'i8mm',
  bf16: 'bf16',
  sve: 'sve',
  sve2: 'sve2',
  sme: 'sme',
};

/** ARM processors name themselves by number only. Source: Linux, arch/arm64/include/asm/cputype.h. */
const ARM_PARTS: Readonly<Record<string, string>> = {
  '0xd03': 'Cortex-A53',
  '0xd05': 'Cortex-A55',
  '0xd08': 'Cortex-A72',
  '0xd0b': 'Cortex-A76',
  '0xd0c': 'Neoverse N1',
  '0xd40': 'Neoverse V1',
  '0xd49': 'Neoverse N2',
  '0xd4f': 'Neoverse V2',
  '0xd85': 'Cortex-X925',
  '0xd87': 'Cortex-A725',
};
const ARM_IMPLEMENTER = '0x41';

export interface Cpuinfo {
  readonly model: Fact<string>;
  readonly vendor: Fact<string>;
  readonly microcode: Fact<string>;
  readonly features: Fact<CpuFeature[]>;
  readonly virtualized: Fact<boolean>;
}

/** Reads /proc/cpuinfo of x86 and ARM; blocks of different kinds of cores are put together. */
export function parseCpuinfo(text: Fact<string>): Cpuinfo {
  const blocks = text.known
    ? text.value
        .split(/\n\s*\n/)
        .map((block) => parsePairs(block, ':'))
        .filter((block) => block.size > 0)
    : [];
  const first = (name: string): string | undefined => {
    const value = blocks.find((block) => block.has(name))?.get(name);
    return value === '' ? undefined : value;
  };
  const model = first('model name') === undefined ? 'CPU part' : 'model name';
  const flags = first('flags') === undefined ? 'Features' : 'flags';
  const tokens = (first(flags) ?? '').split(/\s+/);
  return {
    model: readFrom(text, model, () => first('model name') ?? armModel(blocks)),
    vendor: readFrom(
      text,
      first('vendor_id') === undefined ? 'CPU implementer' : 'vendor_id',
      () =>
        first('vendor_id') ??
        (first('CPU implementer') === ARM_IMPLEMENTER ? 'ARM' : first('CPU implementer')),
    ),
    microcode: readFrom(text, 'microcode', () => first('microcode')),
    features: readFrom(text, flags, () =>
      first(flags) === undefined
        ? undefined
        : [...new Set(tokens.map((token) => FLAGS[token]).filter((feature) => feature !== undefined))],
    ),
    virtualized:
      text.known && first('flags') === undefined
        ? unknown('ARM processors do not tell whether a hypervisor runs', text.source)
        : readFrom(text, 'flags', () => tokens.includes('hypervisor')),
  };
}

function armModel(blocks: readonly ReadonlyMap<string, string>[]): string | undefined {
  const parts = new Set(blocks.map((block) => block.get('CPU part')).filter((part) => part !== undefined));
  if (parts.size === 0) return undefined;
  return [...parts].map((part) => ARM_PARTS[part.toLowerCase()] ?? `ARM part ${part}`).join(' + ');
}
