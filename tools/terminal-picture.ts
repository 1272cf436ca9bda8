/**
 * Draws the text on standard input as an SVG that looks like a terminal, for the README:
 * `ridgepoint check | npx tsx tools/terminal-picture.ts 'ridgepoint check' > docs/images/check.svg`
 */
import { text } from 'node:stream/consumers';

const FONT_SIZE = 13;
const LINE_HEIGHT = 19;
/** Width of a character of the usual monospaced fonts, as a share of their size. */
const CHARACTER_WIDTH = 0.602;
const MARGIN = 18;

const escape = (line: string): string =>
  line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const command = process.argv[2] ?? '';
const output = (await text(process.stdin)).trimEnd().split('\n');
const lines = command === '' ? output : [`$ ${command}`, ...output];
const columns = Math.max(...lines.map((line) => line.length));
const width = Math.ceil(columns * FONT_SIZE * CHARACTER_WIDTH) + 2 * MARGIN;
const height = lines.length * LINE_HEIGHT + 2 * MARGIN;
const rows = lines.map((line, index) => {
  // Headings stand at the left edge; what they head is indented.
  const style = line.startsWith('$') ? 'prompt' : /^\S/.test(line) ? 'heading' : 'line';
  const y = MARGIN + (index + 1) * LINE_HEIGHT - 5;
  return `<text x="${MARGIN}" y="${y}" class="${style}" xml:space="preserve">${escape(line)}</text>`;
});

process.stdout
  .write(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<!-- Made by tools/terminal-picture.ts from real output. -->
<style>text{font:${FONT_SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d6dbe3}.heading{fill:#fff;font-weight:600}.prompt{fill:#7fd18b}</style>
<rect width="${width}" height="${height}" rx="8" fill="#171b22"/>
${rows.join('\n')}
</svg>
`);
