export type GgufErrorCode =
  | 'missing'
  | 'directory'
  | 'unreadable'
  | 'not-gguf'
  | 'unsupported-version'
  | 'unsupported-type'
  | 'truncated'
  | 'malformed'
  | 'limit-exceeded'
  | 'incomplete-set'
  | 'bad-address'
  | 'unreachable'
  | 'refused'
  | 'not-found'
  | 'no-ranges'
  | 'no-such-quantisation';

/** A GGUF file, local or remote, that cannot be used. The message is one sentence for the user and names the file. */
export class GgufError extends Error {
  override readonly name = 'GgufError';
  readonly code: GgufErrorCode;

  constructor(code: GgufErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
