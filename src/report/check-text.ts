import { valueOf, type Fact, type MachineFacts } from '../machine/index.ts';
import {
  formatBandwidth,
  formatBytes,
  formatFlopPerSecond,
  formatFraction,
  formatSeconds,
  formatSignificant,
} from '../units/index.ts';
import type { CheckedModel, CheckReport, Finding } from './check-report.ts';
import { renderSections, type ReportSection } from './sections.ts';

/** The check as sections of labelled lines: everything that is said, without how it is laid out. */
export function checkSections(report: CheckReport): ReportSection[] {
  return [
    machineSection(report),
    ceilingSection(report),
    ...report.models.map(modelSection),
    ...report.notRun.map(({ name, reason }) => ({
      title: `${name}: not measured`,
      rows: [],
      notes: [reason],
    })),
    nextSection(report),
  ];
}

/** The check for a terminal. */
export function renderCheckText(report: CheckReport, strong?: (text: string) => string): string {
  return renderSections(checkSections(report), strong);
}

/** The check as GitHub-flavoured Markdown. */
export function renderCheckMarkdown(report: CheckReport): string {
  const escape = (text: string): string => text.replaceAll(/([\\|<>`*_])/g, String.raw`\$1`);
  const lines = checkSections(report).flatMap(({ title, rows, notes }) => [
    `## ${escape(title)}`,
    '',
    ...(rows.length > 0 ? ['| | |', '| --- | --- |'] : []),
    ...rows.map(([label, text]) => `| ${escape(label)} | ${escape(text)} |`),
    ...(rows.length > 0 ? [''] : []),
    ...notes.flatMap((note) => [escape(note), '']),
  ]);
  return `# Ridgepoint check\n\n${lines.join('\n').trimEnd()}\n`;
}

function machineSection({ machine, engine, threads }: CheckReport): ReportSection {
  const gpus = valueOf(machine.gpus) ?? [];
  const rows: [string, string][] = [
    ['processor', processorText(machine, threads)],
    ['memory', memoryText(machine)],
    ...gpus.map((gpu): [string, string] => ['GPU', factText(gpu.name, (name) => name)]),
    ['system', [factText(machine.os.name, String), factText(machine.os.kernel, String)].join(', ')],
    [
      'engine',
      `llama.cpp ${engine.version ?? engine.buildCommit} (${engine.id}) on ${engine.gpuInfo || engine.cpuInfo}`,
    ],
  ];
  return { title: 'This machine', rows, notes: [] };
}

function processorText(machine: MachineFacts, threads: number): string {
  const cores = factText(machine.cpu.physicalCores, (count) => `${count} cores`);
  return `${factText(machine.cpu.model, (model) => model)}, ${cores}, ${threads} threads used`;
}

function memoryText({ memory }: MachineFacts): string {
  const available = factText(memory.availableBytes, (value) => `${formatBytes(value)} available`);
  return `${factText(memory.totalBytes, formatBytes)}, ${available}`;
}

function factText<T>(fact: Fact<T>, format: (value: T) => string): string {
  return fact.known ? format(fact.value) : `unknown (${fact.reason})`;
}

function ceilingSection({ ceilings }: CheckReport): ReportSection {
  const title = "Ceilings, by the engine's own matrix products";
  if ('missing' in ceilings) return { title, rows: [], notes: [`not measured: ${ceilings.missing}`] };
  const { bandwidthBytesPerSecond, bandwidthType, matmulFlopPerSecond, matmulType } = ceilings.found;
  return {
    title,
    rows: [
      ['streaming', `${formatBandwidth(bandwidthBytesPerSecond.value)} (${bandwidthType} weights, one row)`],
      ['matmul', `${formatFlopPerSecond(matmulFlopPerSecond.value)} (${matmulType} x F32, batch of 512)`],
    ],
    notes: [],
  };
}

function modelSection(model: CheckedModel): ReportSection {
  const rate = (value: number): string => formatSignificant(value);
  const ranged = (finding: CheckedModel['promptTokensPerSecond']): string =>
    text(finding, ({ value, low, high }) => `${rate(value)} tokens/s (80 %: ${rate(low)} to ${rate(high)})`);
  const rows: [string, string][] = [
    [`pp${model.promptTokens}`, ranged(model.promptTokensPerSecond)],
    [`tg${model.generatedTokens}`, ranged(model.generatedTokensPerSecond)],
    ['of its roof', roofText(model)],
    ...model.timeToFirstToken.map(({ promptTokens, seconds }): [string, string] => [
      `first token, ${promptTokens / 1024}k`,
      text(
        seconds,
        ({ value, low, high }) =>
          `${formatSeconds(value)} (80 %: ${formatSeconds(low)} to ${formatSeconds(high)})`,
      ),
    ]),
  ];
  return { title: titleOf(model), rows, notes: model.warnings.map((warning) => `note: ${warning}`) };
}

function titleOf(model: CheckedModel): string {
  const billions = (count: number): string => `${formatSignificant(count / 1e9)} B`;
  const active =
    model.activeParameters < model.parameters * 0.9 ? `, ${billions(model.activeParameters)} active` : '';
  return `${model.name}: ${billions(model.parameters)} parameters${active}, ${formatBytes(model.sizeBytes)}; measured on ${model.layersRun.join(' and ')} of ${model.layers} layers, random weights`;
}

function roofText({ shareOfRoof, generationRoofTokensPerSecond: roof }: CheckedModel): string {
  return text(shareOfRoof, ({ value, low, high }) => {
    const range = `80 %: ${formatFraction(low)} to ${formatFraction(high)}`;
    const limit = 'found' in roof ? ` of ${formatSignificant(roof.found)} tokens/s` : '';
    return `${formatFraction(value)}${limit}, where the weights would stream at the bandwidth above (${range})`;
  });
}

function nextSection(report: CheckReport): ReportSection {
  return {
    title: 'Next',
    rows: report.next.map(({ command, purpose }) => [command, purpose]),
    notes: [`records: ${report.recordsFile}`, `done in ${formatSeconds(report.durationSeconds)}`],
  };
}

const text = <T>(finding: Finding<T>, format: (found: T) => string): string =>
  'found' in finding ? format(finding.found) : `unknown: ${finding.missing}`;
