import type { ModelRecord } from './model-record.ts';

export interface ResolvedModelLabel {
  readonly record: ModelRecord;
  /** As files are named, in capitals: Q4_K_M, UD-Q4_K_XL, IQ3_K_R4, BF16; null when the label states none. */
  readonly quantisation: string | null;
}

/** A label longer than this names no model; longest seen in published measurements: 66 letters. */
const MAX_LABEL_LENGTH = 300;

/**
 * Finds the model that a file name, a repository, a name in prose or llama-bench's own description means.
 * A label resolves only when all of it is understood: what is left after the quantisation and words that change no
 * shape (`Instruct`, `GGUF`, the publisher) has to be a name that a record bears. Nothing is guessed by likeness.
 * @param parameters - the number of weights that came with the label, exact or rounded to 10 million as llama-bench
 *   prints it. Without it its descriptions (`llama 8B Q4_0`) stay unresolved: many models have one size.
 */
export function resolveModelLabel(
  label: string,
  records: readonly ModelRecord[],
  parameters: number | null = null,
): ResolvedModelLabel | null {
  if (label.length > MAX_LABEL_LENGTH) return null;
  const index = indexOf(records);
  const description = parseDescription(label.trim());
  if (description !== null && parameters !== null) {
    const record = ofDescription(description.architecture, parameters, records);
    if (record !== null) return { record, quantisation: description.quantisation };
  }
  const { name, quantisation } = splitQuantisation(fileStem(label));
  const record = index.byKey.get(modelKey(withoutOrganisation(name, index.organisations)));
  return record === undefined || record === null ? null : { record, quantisation };
}

interface LabelIndex {
  /** null: two records bear the name. */
  readonly byKey: ReadonlyMap<string, ModelRecord | null>;
  /** Publishers, in small letters. */
  readonly organisations: ReadonlySet<string>;
}

/** One index for each list of records: a table of measurements has thousands of labels and one list. */
const INDICES = new WeakMap<readonly ModelRecord[], LabelIndex>();

function indexOf(records: readonly ModelRecord[]): LabelIndex {
  const known = INDICES.get(records);
  if (known !== undefined) return known;
  const byKey = new Map<string, ModelRecord | null>();
  const organisations = new Set<string>();
  for (const record of records) {
    for (const name of namesOfRecord(record)) {
      const [organisation, base] = name.includes('/') ? splitAtLast(name, '/') : ['', name];
      if (organisation !== '') organisations.add(organisation.toLowerCase());
      const key = modelKey(base);
      const owner = byKey.get(key);
      byKey.set(key, owner === undefined || owner === record ? record : null);
    }
  }
  const index = { byKey, organisations };
  INDICES.set(records, index);
  return index;
}

/** Every name that a record answers to. */
export function namesOfRecord(record: ModelRecord): string[] {
  return [
    record.id,
    record.repository,
    ...record.aliases,
    ...(record.derivatives ?? []).map(({ name }) => name),
  ];
}

function splitAtLast(text: string, separator: string): [before: string, after: string] {
  const at = text.lastIndexOf(separator);
  return [text.slice(0, at), text.slice(at + separator.length)];
}

/** The last part of a path, without `.gguf` and without the number of a part of a split file. */
function fileStem(label: string): string {
  const base = label.trim().split(/[/\\]/).at(-1) ?? '';
  return base
    .replace(/\.gguf$/i, '')
    .replace(/-\d{5}-of-\d{5}$/, '')
    .trim();
}

/**
 * Names of types and mixes at the end of a file name, after a colon or after a separator: those of llama.cpp, of
 * ik_llama.cpp (`_R4`, `_KT`), with Unsloth's `UD-`, with the marks of importance matrices (`i1-`, `imat-`), and with
 * what ik_llama.cpp users put before a mix of their own (`CPU-`, `mix-`).
 */
const QUANTISATION =
  /[-_.:\s]+(?:(?:i1|imat|imatrix|cpu|mix)[-_.])?((?:UD[-_])?(?:I?Q\d+(?:_[A-Z0-9]+)*|TQ\d_\d|I2_S|MXFP4(?:[_ ]MOE)?|BF16|F16|F32|FP16|FP32))$/i;

function splitQuantisation(stem: string): { name: string; quantisation: string | null } {
  const match = QUANTISATION.exec(stem);
  if (match?.[1] === undefined) return { name: stem, quantisation: null };
  return { name: stem.slice(0, match.index), quantisation: canonicalQuantisation(match[1]) };
}

function canonicalQuantisation(text: string): string {
  return text
    .toUpperCase()
    .replace(/^UD_/, 'UD-')
    .replace(/^FP(16|32)$/, 'F$1')
    .replace(/^MXFP4[_ ]MOE$/, 'MXFP4');
}

/** `google_gemma-3-27b-it`: how files are named that hold the publisher's name. */
function withoutOrganisation(name: string, organisations: ReadonlySet<string>): string {
  const at = name.indexOf('_');
  return at > 0 && organisations.has(name.slice(0, at).toLowerCase()) ? name.slice(at + 1) : name;
}

/**
 * Words that change no shape: how a model was tuned to answer, in which container or with which rounding it is
 * published, and whether refusals were tuned away.
 */
const WORDS_WITHOUT_SHAPE: ReadonlySet<string> = new Set([
  'instruct',
  'it',
  'chat',
  'hf',
  'gguf',
  'awq',
  'gptq',
  'bnb',
  '4bit',
  'qat',
  'test',
  'uncensored',
  'abliterated',
]);

/**
 * A name in one spelling: small letters, words joined by dashes, `llama3.1` and `llama-3.1` alike, without words that
 * change no shape.
 */
export function modelKey(name: string): string {
  // Some repositories of full models end in `-BF16`.
  const words = splitQuantisation(name)
    .name.toLowerCase()
    .split(/[-_\s]+|\.(?!\d)|(?<!\d)\./)
    .flatMap((word) => {
      const family = /^([a-z]{3,})(\d.*)$/.exec(word);
      return family?.[1] === undefined || family[2] === undefined ? [word] : [family[1], family[2]];
    })
    .filter((word) => word !== '' && !WORDS_WITHOUT_SHAPE.has(word));
  // Meta published the same models with and without its name in front.
  return (words[0] === 'meta' ? words.slice(1) : words).join('-');
}

/**
 * llama-bench's description of a file: architecture, size class, file type (`llama 8B Q4_K - Medium`). The class alone
 * says little: 8B are files of Llama 3, Ministral and Granite.
 */
interface Description {
  readonly architecture: string;
  readonly quantisation: string | null;
}

function parseDescription(label: string): Description | null {
  const match = /^([a-z0-9_-]+) (?:\?|\d+(?:\.\d+)?)B(?:\.A\d+(?:\.\d+)?B)? (.+)$/.exec(label);
  const [, architecture, type] = match ?? [];
  if (architecture === undefined || type === undefined) return null;
  return { architecture, quantisation: describedQuantisation(type) };
}

/** `llama_model_ftype_name`, src/llama-model-loader.cpp, release v0.5.0: `Q4_K - Medium`, `IQ2_XS - 2.3125 bpw`. */
function describedQuantisation(type: string): string | null {
  const plain = type
    .replace(/ \(.*\)$/, '')
    .replace(/^all /, '')
    .replace(/ - [\d.]+ bpw.*$/, '')
    .replace(/ - (Small|Medium|Large)$/, (_, size: string) => `_${size.slice(0, 1)}`);
  return splitQuantisation(` ${plain}`).quantisation;
}

/** Half of the last digit that llama-bench prints: 7.24 B are 7.235 to 7.245. */
const PRINTED_HALF_DIGIT = 5e6;
/** Files of older converters have a few tensors more or fewer, which stays below this share. */
const CONVERTER_SHARE = 0.01;
/** The records that the description fits, when they are one shape; null otherwise. */
function ofDescription(
  architecture: string,
  parameters: number,
  records: readonly ModelRecord[],
): ModelRecord | null {
  const within = (tolerance: number): ModelRecord[] =>
    records.filter(
      (record) =>
        record.architecture === architecture &&
        record.publishedParameters.some(
          ({ count, disputed }) => disputed === undefined && Math.abs(count - parameters) <= tolerance,
        ),
    );
  const exact = within(PRINTED_HALF_DIGIT);
  return oneShape(exact.length > 0 ? exact : within(parameters * CONVERTER_SHARE), architecture);
}

/** Of records of one shape the one that is named after its architecture, or the first. */
function oneShape(candidates: readonly ModelRecord[], architecture: string): ModelRecord | null {
  const shapes = new Set(candidates.map(shapeText));
  if (shapes.size !== 1) return null;
  return candidates.find(({ id }) => id.startsWith(architecture)) ?? candidates[0] ?? null;
}

/** What the speed of a model follows from, apart from the context that it was trained for. */
function shapeText(record: ModelRecord): string {
  const { experts } = record;
  const denseUnused =
    experts !== undefined && experts.leadingDenseLayers === undefined && experts.placement === undefined;
  return JSON.stringify([
    record.layers,
    record.embeddingLength,
    denseUnused ? 'experts' : record.feedForwardLength,
    record.heads,
    record.kvHeads,
    record.keyHeadLength,
    record.valueHeadLength,
    record.vocabularySize,
    record.tiedEmbeddings,
    experts,
    record.slidingWindow,
    record.latentAttention,
    record.recurrent,
  ]);
}
