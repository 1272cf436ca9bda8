/** Options that answer by themselves, whatever the command. */
const ANSWERED_BY_PROGRAM: ReadonlySet<string> = new Set(['-h', '--help', '-V', '--version']);

/** The arguments with the name of the command: `check` where none is given. */
export interface CommandLine {
  readonly argv: readonly string[];
  /** The word in the place of the command, known or not; null when the program itself answers. */
  readonly command: string | null;
}

/**
 * Finds the command of the arguments, and adds `check` where there is none: `ridgepoint --quick` is
 * `ridgepoint check --quick`.
 */
export function findCommand(argv: readonly string[]): CommandLine {
  for (let at = 0; at < argv.length; at += 1) {
    const argument = argv[at] ?? '';
    if (ANSWERED_BY_PROGRAM.has(argument)) return { argv, command: null };
    if (argument === '--color') at += 1;
    else if (argument.startsWith('--color=')) continue;
    else if (argument.startsWith('-')) return withCheck(argv, at);
    else return { argv, command: argument };
  }
  return withCheck(argv, argv.length);
}

function withCheck(argv: readonly string[], at: number): CommandLine {
  return { argv: [...argv.slice(0, at), 'check', ...argv.slice(at)], command: 'check' };
}
