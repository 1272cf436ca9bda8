import type { MetadataEntry } from '../gguf/metadata.ts';

/** `enum llama_token_type`, include/llama.h. */
const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;

/** The last one is there because llama.cpp looks for it in every file that is named after Phi 3 (src/llama-vocab.cpp). */
const SPECIAL_TOKENS = ['<unk>', '<s>', '</s>', '<|endoftext|>'] as const;
const BYTE_TOKENS = 256;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz';

/** The smallest vocabulary that a tokenizer of this kind can have: the special tokens and one for each byte. */
export const MIN_VOCABULARY = SPECIAL_TOKENS.length + BYTE_TOKENS;

/**
 * A complete SentencePiece-style vocabulary of the wanted size: the special tokens, the bytes, then words made of
 * letters in order of length. Any text can be tokenised with it, by every program of llama.cpp.
 * @throws RangeError when the size is below MIN_VOCABULARY.
 */
export function vocabularyMetadata(size: number): MetadataEntry[] {
  if (size < MIN_VOCABULARY) {
    throw new RangeError(`a vocabulary has at least ${MIN_VOCABULARY} tokens; ${size} are too few`);
  }
  const tokens: string[] = [...SPECIAL_TOKENS];
  const types: number[] = [TOKEN_TYPE.unknown, TOKEN_TYPE.control, TOKEN_TYPE.control, TOKEN_TYPE.control];
  for (let byte = 0; byte < BYTE_TOKENS; byte += 1) {
    tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
    types.push(TOKEN_TYPE.byte);
  }
  while (tokens.length < size) {
    tokens.push(word(tokens.length - MIN_VOCABULARY));
    types.push(TOKEN_TYPE.normal);
  }
  // SentencePiece merges towards the highest score: the earlier, shorter word.
  const scores = tokens.map((_, index) => (index < MIN_VOCABULARY ? 0 : MIN_VOCABULARY - index));
  return [
    ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['tokenizer.ggml.pre', { type: 'string', value: 'default' }],
    ['tokenizer.ggml.tokens', { type: 'string[]', value: tokens }],
    ['tokenizer.ggml.scores', { type: 'f32[]', value: scores }],
    ['tokenizer.ggml.token_type', { type: 'i32[]', value: types }],
    ['tokenizer.ggml.unknown_token_id', { type: 'u32', value: 0 }],
    ['tokenizer.ggml.bos_token_id', { type: 'u32', value: 1 }],
    ['tokenizer.ggml.eos_token_id', { type: 'u32', value: 2 }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: true }],
  ];
}

/** The index-th word: a, b, ... z, aa, ab, ...; no two are equal. */
function word(index: number): string {
  let text = '';
  for (let rest = index; rest >= 0; rest = Math.floor(rest / ALPHABET.length) - 1) {
    text = `${ALPHABET.charAt(rest % ALPHABET.length)}${text}`;
  }
  return text;
}
