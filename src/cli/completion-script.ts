export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What may follow a command. */
export interface CompletionEntry {
  /** `['cache', 'list']`. */
  readonly path: readonly string[];
  readonly summary: string;
  /** Commands below it. */
  readonly words: readonly string[];
  readonly options: readonly string[];
}

/** Options that every command takes. */
const EVERYWHERE = ['--help', '--color'];

/** The completion script of a shell for a table of commands. */
export function completionScript(shell: Shell, entries: readonly CompletionEntry[]): string {
  switch (shell) {
    case 'bash':
      return bash(entries);
    case 'zsh':
      // zsh runs scripts written for bash's completion.
      return `#compdef ridgepoint\nautoload -U +X bashcompinit && bashcompinit\n${bash(entries)}`;
    case 'fish':
      return fish(entries);
    default:
      return shell satisfies never;
  }
}

const topLevel = (entries: readonly CompletionEntry[]): CompletionEntry[] =>
  entries.filter(({ path }) => path.length === 1);
const wordsOf = (entry: CompletionEntry): string =>
  [...entry.words, ...entry.options, ...EVERYWHERE].join(' ');

function bash(entries: readonly CompletionEntry[]): string {
  const names = topLevel(entries)
    .map(({ path }) => path[0])
    .join(' ');
  // The longer path first: `cache list` before `cache`.
  const cases = entries
    .toSorted((a, b) => b.path.length - a.path.length)
    .map((entry) => `    '${entry.path.join(' ')}'*) words='${wordsOf(entry)}' ;;`);
  return `_ridgepoint() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  case "\${COMP_WORDS[*]:1:COMP_CWORD-1}" in
${cases.join('\n')}
    *) words='${names} --version ${EVERYWHERE.join(' ')}' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _ridgepoint ridgepoint
`;
}

function fish(entries: readonly CompletionEntry[]): string {
  const names = topLevel(entries)
    .map(({ path }) => path[0])
    .join(' ');
  const lines = topLevel(entries).map(
    ({ path, summary }) =>
      `complete -c ridgepoint -n "not __fish_seen_subcommand_from ${names}" -a ${path[0]} -d '${summary.replaceAll("'", String.raw`\'`)}'`,
  );
  for (const { path, words, options } of entries) {
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    if (words.length > 0) lines.push(`complete -c ridgepoint -n "${seen}" -f -a '${words.join(' ')}'`);
    for (const option of options) lines.push(`complete -c ridgepoint -n "${seen}" -l ${option.slice(2)}`);
  }
  return `${lines.join('\n')}\n`;
}
