import { UsageError } from './exit.ts';

/**
 * llama-bench's flags of several letters behind one dash, and ours for them. An argument parser takes `-ub 512` for
 * `-u b 512`, so they are spelled out before it sees them. Source: llama-bench.cpp, parse_cmd_params, release v0.5.0.
 */
const LONG_FORMS: Readonly<Record<string, string>> = {
  '-pg': '--pg',
  '-ub': '--ubatch-size',
  '-ctk': '--cache-type-k',
  '-ctv': '--cache-type-v',
  '-ngl': '--n-gpu-layers',
  '-ncmoe': '--n-cpu-moe',
  '-fa': '--flash-attn',
  '-np': '--parallel',
  '-ts': '--tensor-split',
  '-oe': '--output-err',
};

/** Flags of llama-bench that have no counterpart here; named, because `-dev` would be read as `-d ev`. */
const WITHOUT_COUNTERPART: ReadonlySet<string> = new Set([
  '-hf',
  '-hfr',
  '-hff',
  '-hft',
  '-dev',
  '-C',
  '-rpc',
  '-sm',
  '-lm',
  '-lzm',
  '-mg',
  '-mmp',
  '-nkvo',
  '-embd',
  '-nopo',
  '-ot',
  '-fitt',
  '-fitc',
]);

/**
 * Translates llama-bench's spelling of arguments: flags of several letters, underscores in long names, and models
 * given by `-m`. Everything from `--` on is left alone.
 * @param models - whether the command takes its models as arguments, or by `-m` as llama-bench does.
 * @throws UsageError for a flag of llama-bench that ridgepoint has not.
 */
export function translateLlamaBenchFlags(
  argv: readonly string[],
  models: 'arguments' | 'option' = 'arguments',
): string[] {
  const translated: string[] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const argument = argv[at] ?? '';
    if (argument === '--') return [...translated, ...argv.slice(at)];
    if (WITHOUT_COUNTERPART.has(argument)) {
      throw new UsageError(
        `llama-bench's ${argument} has no counterpart in ridgepoint; leave it out, or run llama-bench itself.`,
      );
    }
    const spelled = argument.startsWith('--') ? withDashes(argument) : argument;
    if (models === 'arguments' && (spelled === '-m' || spelled === '--model')) {
      at += 1;
      const named = argv[at];
      if (named === undefined) throw new UsageError(`${argument} needs the path or the name of a model.`);
      translated.push(...named.split(','));
      continue;
    }
    translated.push(Object.hasOwn(LONG_FORMS, spelled) ? (LONG_FORMS[spelled] ?? spelled) : spelled);
  }
  return translated;
}

/** llama-bench takes `--n_gen` for `--n-gen`; what follows an equals sign is a value and stays. */
function withDashes(argument: string): string {
  const equals = argument.indexOf('=');
  const name = equals < 0 ? argument : argument.slice(0, equals);
  return name.replaceAll('_', '-') + argument.slice(name.length);
}
