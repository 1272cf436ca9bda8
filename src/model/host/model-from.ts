import { existsSync } from 'node:fs';
import path from 'node:path';
import { CatalogNameError, resolveModelName, type ModelRecord } from '../../catalog/index.ts';
import { bytes, type Bytes } from '../../units/index.ts';
import { architectureOf, SYNTHETIC_ARCHITECTURES } from '../architectures/registry.ts';
import { GgufError } from '../gguf/gguf-error.ts';
import type { GgufHeader } from '../gguf/parse-header.ts';
import { stemOf } from '../gguf/split.ts';
import { shapeFieldsOfHeader } from '../header-shape.ts';
import { isMixName, MIX_NAMES, mixOfFileType, type MixName } from '../mixes.ts';
import { quantisationFacts, typesInMix } from '../quantisation/types-in-mix.ts';
import { shapeOf, type ModelShape } from '../shape.ts';
import { tensorBytes } from '../ggml-types.ts';
import { fileOfHubPage, findHubFile, hubNameOf } from './hugging-face.ts';
import { readGgufHeader } from './read-gguf.ts';
import { readRemoteHeader } from './read-remote.ts';
import type { WebAccess } from './web.ts';

/** What a MODEL argument means. */
export interface NamedModel {
  readonly source: 'catalogue' | 'file' | 'address' | 'hub';
  /** Letters, digits, dots and dashes: part of the names of files. */
  readonly id: string;
  readonly title: string;
  readonly shape: ModelShape;
  /** The mix of its weights; for a file the one that its header names, or the nearest in size. */
  readonly mix: MixName;
  /** What the header says; null for a model of the catalogue, whose tensors follow from shape and mix. */
  readonly file: ModelFileFacts | null;
}

/** The tensors that a model file really has. */
interface ModelFileFacts {
  readonly tensors: GgufHeader['tensors'];
  readonly tensorBytes: Bytes;
  readonly fileBytes: Bytes;
  /** Tensors whose type is not the one of the mix: dynamic quantisations and older rules. */
  readonly otherTypes: number;
  /** What the tensors would take in the mix. */
  readonly mixBytes: Bytes;
}

interface ModelSources {
  readonly records: readonly ModelRecord[];
  readonly access: WebAccess;
}

/** Whether a MODEL argument means a local file: it has that ending, or looks like a path. */
export function isModelFile(text: string): boolean {
  return !isModelAddress(text) && (/\.gguf$/i.test(text) || /^(?:\.{0,2}[/\\]|[a-z]:[/\\])/i.test(text));
}

/** Whether a MODEL argument is the address of a file. */
export function isModelAddress(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/**
 * What a MODEL argument means: a GGUF file, an address, `name:QUANT` of the catalogue, or `organisation/repo:QUANT` of
 * the hub. Of a file, here or elsewhere, only the header is read.
 * @throws CatalogNameError, GgufError, HeaderShapeError, each with one sentence for the user.
 */
export async function modelFrom(text: string, { records, access }: ModelSources): Promise<NamedModel> {
  refuseTypesOfFile(text);
  if (isModelAddress(text)) {
    const address = fileOfHubPage(text, access.endpoint);
    return describe('address', text, await readRemoteHeader(address, text, access));
  }
  if (isModelFile(text)) return describe('file', text, await readGgufHeader(text));
  try {
    const { record, quantisation } = resolveModelName(text.replace(MOE_SUFFIX, ''), records, MIX_NAMES);
    if (isMixName(quantisation)) {
      const shape = shapeOf(record);
      return { source: 'catalogue', id: record.id, title: record.name, shape, mix: quantisation, file: null };
    }
    throw new CatalogNameError('unknown-quantisation', `The quantisation ${quantisation} is not known.`);
  } catch (error) {
    const name = hubNameOf(text);
    if (!(error instanceof CatalogNameError) || name === null) throw error;
    const file = await findHubFile(name, access);
    const label = `${name.repository}:${file.quantisation}`;
    return describe('hub', label, await readRemoteHeader(file.address, label, access));
  }
}

/**
 * A file has the types that it has. Repositories of the hub may be called alike.
 * @throws GgufError where others are asked for.
 */
function refuseTypesOfFile(text: string): void {
  const [, file, mix] = /^(.+\.gguf):([\w.-]+)$/i.exec(text) ?? [];
  if (file === undefined || (hubNameOf(text) !== null && !existsSync(file))) return;
  throw new GgufError(
    'no-such-quantisation',
    `${file} is a file, whose weights have types of their own: leave out :${mix}, or name a model of the catalogue with it.`,
  );
}

/** llama-quantize and the names of files say MXFP4_MOE, llama.cpp's own label MXFP4. */
const MOE_SUFFIX = /(?<=:MXFP4)_MOE$/i;

function describe(source: NamedModel['source'], label: string, header: GgufHeader): NamedModel {
  const id = idOf(source, label);
  const shape = shapeOf(shapeFieldsOfHeader(header, id, label));
  const mix = mixOfHeader(header, shape);
  const types = typesOf(header, shape, mix);
  return {
    source,
    id,
    title: label,
    shape,
    mix,
    file: {
      tensors: header.tensors,
      tensorBytes: bytes(header.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)),
      fileBytes: header.fileBytes,
      otherTypes: header.tensors.filter(({ type }, index) => type !== types[index]).length,
      mixBytes: sizeOf(header, types),
    },
  };
}

/** The last part of a name or path, in the letters of an id. */
function idOf(source: NamedModel['source'], label: string): string {
  const plain = source === 'address' ? new URL(label).pathname : label;
  const name =
    source === 'hub' ? (plain.split('/')[1] ?? plain).replace(/:.*$/, '') : path.posix.basename(plain);
  const letters = stemOf(name)
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[.-]+/, '');
  return letters === '' ? 'model' : letters;
}

function mixOfHeader(header: GgufHeader, shape: ModelShape): MixName {
  const fileType = header.metadata.get('general.file_type');
  const named = typeof fileType === 'number' ? mixOfFileType(fileType) : null;
  if (named !== null) return named;
  const size = header.tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
  const distances = MIX_NAMES.map((mix) => ({
    mix,
    distance: Math.abs(sizeOf(header, typesOf(header, shape, mix)) - size),
  }));
  return distances.reduce((best, each) => (each.distance < best.distance ? each : best)).mix;
}

type Types = ReturnType<typeof typesInMix>;

function typesOf(header: GgufHeader, shape: ModelShape, mix: MixName): Types {
  const native = SYNTHETIC_ARCHITECTURES.includes(shape.architecture)
    ? (architectureOf(shape.architecture).nativeExpertType ?? null)
    : null;
  return typesInMix(header.tensors, mix, quantisationFacts(shape, native, shape.layers + shape.mtpLayers));
}

function sizeOf(header: GgufHeader, types: Types): Bytes {
  return bytes(
    header.tensors.reduce((sum, { type, dims }, index) => sum + tensorBytes(types[index] ?? type, dims), 0),
  );
}
