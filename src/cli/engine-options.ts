import { InvalidArgumentError, Option } from 'commander';

/** The backends that an engine of ours may compute with. */
const BACKENDS = ['cpu', 'vulkan', 'metal', 'cuda'] as const;
export type Backend = (typeof BACKENDS)[number];

/** The embedded libraries, or a llama-bench of the user's own. */
export type EngineChoice =
  | { readonly kind: 'embedded' }
  | { readonly kind: 'llama-bench'; readonly path: string };

const LLAMA_BENCH_PREFIX = 'llama-bench:';

/** `embedded` or `llama-bench:/path`. */
function parseEngine(text: string): EngineChoice {
  if (text === 'embedded') return { kind: 'embedded' };
  const path = text.startsWith(LLAMA_BENCH_PREFIX) ? text.slice(LLAMA_BENCH_PREFIX.length) : '';
  if (path === '') {
    throw new InvalidArgumentError(
      `'${text}' is no engine; write embedded or llama-bench:/path/to/llama-bench.`,
    );
  }
  return { kind: 'llama-bench', path };
}

export const ENGINE_OPTION = new Option('--engine <engine>', 'embedded, or llama-bench:/path/to/llama-bench')
  .argParser(parseEngine)
  .default({ kind: 'embedded' }, 'embedded');

export const BACKEND_OPTION = new Option(
  '--backend <backend>',
  'what to compute with (default: the best one that has a real device)',
).choices(BACKENDS);
