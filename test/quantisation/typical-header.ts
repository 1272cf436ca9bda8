import { bytes, type Bytes } from '../../src/units/index.ts';

/** Bytes that a published file has beside its tensors: the header, nearly all of which is the vocabulary. */
interface MeasuredHeader {
  readonly tokens: number;
  readonly bytes: number;
}

/**
 * File size less tensor bytes of published files, one for each tokeniser: Llama 2, Yi, Granite 3, OLMo 2, Llama 3,
 * Ministral 3, Qwen 2.5, gpt-oss, Gemma 2 (the repositories that gguf-sizes.csv names). Vocabularies
 * with merges take about 60 bytes a token, those of SentencePiece 23.
 */
const MEASURED: readonly MeasuredHeader[] = [
  { tokens: 32_000, bytes: 758_208 },
  { tokens: 49_155, bytes: 1_732_096 },
  { tokens: 64_000, bytes: 1_504_064 },
  { tokens: 100_352, bytes: 3_563_072 },
  { tokens: 128_256, bytes: 7_840_928 },
  { tokens: 131_072, bytes: 8_411_552 },
  { tokens: 151_936, bytes: 5_956_416 },
  { tokens: 201_088, bytes: 13_008_832 },
  { tokens: 256_000, bytes: 6_046_560 },
];

/** About how long the header of a published file is: that of the known tokeniser with the nearest vocabulary. */
export function typicalHeaderBytes(vocabularySize: number): Bytes {
  const distance = ({ tokens }: MeasuredHeader): number => Math.abs(Math.log(tokens / vocabularySize));
  const nearest = MEASURED.reduce((best, each) => (distance(each) < distance(best) ? each : best));
  return bytes(Math.round((nearest.bytes * vocabularySize) / nearest.tokens));
}
