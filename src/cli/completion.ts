import { Argument, type Command } from 'commander';
import type { Enter } from './context.ts';
import { completionScript, SHELLS, type CompletionEntry, type Shell } from './completion-script.ts';

/** Defines `completion`. */
export function configureCompletion(command: Command, enter: Enter): void {
  command.addArgument(new Argument('<shell>', 'the shell').choices(SHELLS)).action((shell: Shell) =>
    enter(async (context) => {
      context.stdout(
        completionScript(
          shell,
          (command.parent?.commands ?? []).flatMap((each) => entries(each, [])),
        ),
      );
      return 0;
    }),
  );
}

/** The words and options of a command and of the commands below it. */
function entries(command: Command, above: readonly string[]): CompletionEntry[] {
  const path = [...above, command.name()];
  const below = command.commands.filter((each) => each.name() !== 'help');
  const own = {
    path,
    summary: command.summary() === '' ? command.description() : command.summary(),
    words: below.map((each) => each.name()),
    options: command.options.flatMap((option) => (option.long === undefined ? [] : [option.long])),
  };
  return [own, ...below.flatMap((each) => entries(each, path))];
}
