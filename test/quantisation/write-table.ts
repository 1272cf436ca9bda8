import { readFileSync, writeFileSync } from 'node:fs';
import { exceptionTable } from './sizes.ts';

/** Writes the table of sizes into docs/gguf.md: npx tsx test/quantisation/write-table.ts */
const PAGE = new URL('../../docs/gguf.md', import.meta.url);
const page = readFileSync(PAGE, 'utf8');
const table = /(?<=<!-- sizes:[^\n]*-->\n\n)[^]*(?=\n\n<!-- end of sizes -->)/;
if (!table.test(page)) throw new Error('docs/gguf.md has no place for the table');
writeFileSync(
  PAGE,
  page.replace(table, () => exceptionTable()),
);
