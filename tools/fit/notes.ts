import { readFileSync } from 'node:fs';
import * as z from 'zod';
import type { Predictor } from '../../src/predict/index.ts';

/** `data/published/notes.json`: measured tables of published notes, one object a row. */
const NOTES_FILE = new URL('../../data/published/notes.json', import.meta.url);
const noteSchema = z.strictObject({
  note: z.string(),
  device: z.string(),
  machine: z.string(),
  backend: z.string(),
  engine: z.string(),
  model: z.string(),
  quantisation: z.string(),
  depthTokens: z.number(),
  metric: z.enum(['pp', 'tg']),
  tokens: z.number(),
  value: z.number(),
  remark: z.string(),
});
const notesSchema = z.strictObject({ schemaVersion: z.literal(1), rows: z.array(noteSchema) });
export type Note = z.infer<typeof noteSchema>;

export interface JudgedNote {
  readonly note: Note;
  readonly predicted: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly roof: number | null;
  /** Why there is no prediction, or why the measurement is refused. */
  readonly reason: string | null;
}

export function readNotes(): readonly Note[] {
  return notesSchema.parse(JSON.parse(readFileSync(NOTES_FILE, 'utf8'))).rows;
}

/** Backends as the notes write them; those that do not say which are taken for the vendor's usual one. */
const NAMES: Readonly<Record<string, string>> = { hip: 'rocm', unknown: 'gpu', any: 'gpu', mlx: 'metal' };

/** When the notes were measured: before flash attention became automatic, and when the DGX Spark was new. */
const DATES: Readonly<Record<string, string>> = {
  'strix-halo-first-look': '2025-05-15',
  'three-devices': '2025-10-15',
};

/** Predicts every note as a query, as anybody could ask it. */
export function judgeNotes(predictor: Predictor, notes: readonly Note[]): JudgedNote[] {
  return notes.map((note) => {
    const options = note.backend.split('+').slice(1);
    const [base = ''] = note.backend.split(/[+ ]/);
    const rocwmma = options.some((option) => option.startsWith('rocwmma')) ? '+rocwmma' : '';
    const prepared = predictor.reader.prepare({
      id: note.note,
      device: base === 'cpu' ? `cpu-${note.device}` : note.device,
      backend: (NAMES[base] ?? base) + rocwmma,
      engine: 'llama.cpp',
      date: DATES[note.note] ?? null,
      flashAttention: note.note === 'strix-halo-first-look' ? options.includes('fa') : null,
      model: note.model,
      quant: note.quantisation,
      nPrompt: note.metric === 'pp' ? note.tokens : 0,
      nGen: note.metric === 'tg' ? note.tokens : 0,
      nDepth: note.depthTokens,
      nBatch:
        /b=(\d+)/.exec(note.backend)?.[1] === undefined ? null : Number(/b=(\d+)/.exec(note.backend)?.[1]),
    });
    if ('code' in prepared)
      return { note, predicted: null, low: null, high: null, roof: null, reason: prepared.message };
    const { tokensPerSecond, low, high, roofTokensPerSecond } = predictor.predictPrepared(prepared);
    const { bytes, device, ubatch } = prepared.configuration;
    const gigabytes = ((bytes.dense + bytes.experts) / 1e9).toFixed(1);
    const bandwidth = (device.bandwidthBytesPerSecond / 1e9).toFixed(0);
    const arithmetic =
      note.metric === 'pp'
        ? `every ubatch of ${ubatch} tokens reads ${gigabytes} GB of weights at no more than ${bandwidth} GB/s`
        : `a token reads its weights and a cache of ${prepared.context} tokens at no more than ${bandwidth} GB/s`;
    const reason =
      note.value > roofTokensPerSecond
        ? `refused: above the roof of ${roofTokensPerSecond.toFixed(0)} tokens/s, as ${arithmetic}`
        : null;
    return { note, predicted: tokensPerSecond, low, high, roof: roofTokensPerSecond, reason };
  });
}
