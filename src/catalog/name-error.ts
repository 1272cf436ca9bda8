export type CatalogNameErrorCode =
  | 'unknown-device'
  | 'unknown-machine'
  | 'unknown-model'
  | 'unknown-quantisation';

/** Something was asked for by a name that the catalogue cannot resolve. The message is for the user. */
export class CatalogNameError extends Error {
  override readonly name = 'CatalogNameError';
  readonly code: CatalogNameErrorCode;

  constructor(code: CatalogNameErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
