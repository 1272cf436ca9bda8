/** One heading with its lines; the terminal and Markdown print these. */
export interface ReportSection {
  readonly title: string;
  readonly rows: readonly (readonly [label: string, text: string])[];
  readonly notes: readonly string[];
}

/** Sections for a terminal, the labels of each in one column. */
export function renderSections(
  sections: readonly ReportSection[],
  strong: (text: string) => string = (text) => text,
): string {
  const lines = sections.flatMap(({ title, rows, notes }) => {
    const width = Math.max(0, ...rows.map(([label]) => label.length));
    return [
      strong(title),
      ...rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`.trimEnd()),
      ...notes.map((note) => `  ${note}`),
      '',
    ];
  });
  return `${lines.join('\n').trimEnd()}\n`;
}
