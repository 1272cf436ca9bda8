import { CommandFailure } from './exit.ts';

/** How `--machine`, and a list of machines, names the one that Ridgepoint runs on. */
export const THIS_MACHINE = 'this';

/** Refuses the name of a file, which is not there, before it is looked for in the catalogue. */
export function refuseMissingFile(name: string): void {
  if (/^(?:\.{0,2}[/\\]|[a-z]:[/\\])|\.json$/i.test(name)) {
    throw new CommandFailure(
      `There is no file ${name}; name one that ridgepoint machine --save wrote, or a machine of the catalogue (ridgepoint devices machines).`,
    );
  }
}
