import Table from 'cli-table3';
import type { CliContext } from './context.ts';

/** Version of the JSON documents of the commands: fields are added, never changed, within it. */
const DOCUMENT_SCHEMA_VERSION = 1;

/** Prints the one document of `--json`. */
export function printDocument(context: CliContext, kind: string, content: object): void {
  printJson(context, { schemaVersion: DOCUMENT_SCHEMA_VERSION, kind: `ridgepoint-${kind}`, ...content });
}

/** Prints a document that carries its own kind and schema version. */
export function printJson(context: CliContext, document: object): void {
  context.stdout(JSON.stringify(document, null, 2));
}

/** Columns without lines, as wide as their content: easy to read, to cut and to copy. */
export function printTable(
  context: CliContext,
  columns: readonly { readonly title: string; readonly align?: 'left' | 'right' }[],
  rows: readonly (readonly string[])[],
): void {
  const table = new Table({
    head: columns.map(({ title }) => context.colors.bold(title)),
    colAligns: columns.map(({ align }) => align ?? 'left'),
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  });
  table.push(...rows.map((row) => [...row]));
  const lines = table.toString().split('\n');
  context.stdout(lines.map((line) => line.trimEnd()).join('\n'));
}

/** Every line that cli-table3 can draw, left out. */
const NO_LINES = Object.fromEntries(
  (
    'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right ' +
    'left left-mid mid mid-mid right right-mid middle'
  )
    .split(' ')
    .map((name) => [name, '']),
);
