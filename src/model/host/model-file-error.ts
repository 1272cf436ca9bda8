export type ModelFileErrorCode = 'no-space' | 'cache-limit' | 'not-writable';

/** A synthetic model could not be written; the message is one sentence for the user. */
export class ModelFileError extends Error {
  override readonly name = 'ModelFileError';
  readonly code: ModelFileErrorCode;

  constructor(code: ModelFileErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
