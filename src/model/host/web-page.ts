import { GgufError } from '../gguf/gguf-error.ts';
import type { WebAccess, WebAnswer } from './web.ts';

/** How a web page begins, where the server does not say that it is one. */
const PAGE_START = /^\s*<(?:!doctype\s+html|html)\b/i;
/** Of an answer; more is not looked at. */
const LOOKED_AT_BYTES = 256;

/** Whether an answer that was to be a file is a page for people: of a login, of terms, or about the file. */
export const isWebPage = ({ headers }: Pick<WebAnswer, 'headers'>): boolean =>
  /^text\/html\b/i.test(headers.get('content-type') ?? '');

/** The same by what was sent, for servers that call everything a stream of octets. */
export const beginsAsWebPage = (body: Uint8Array): boolean =>
  PAGE_START.test(new TextDecoder('latin1').decode(body.subarray(0, LOOKED_AT_BYTES)));

/** Says what came, from where, and what to do. The token is for the hub alone, so elsewhere it does not help. */
export function webPageError(address: string, label: string, { endpoint, token }: WebAccess): GgufError {
  const { host, origin } = new URL(address);
  const isHub = URL.canParse(endpoint) && new URL(endpoint).origin === origin;
  const hubAdvice =
    token === null
      ? 'accept its terms on its page and set HF_TOKEN to a token that may read it'
      : 'accept its terms on its page, and check that the token in HF_TOKEN may read it';
  const advice = isHub
    ? hubAdvice
    : 'check that the address is that of the file itself, or, where it needs a login, download the file and give its path';
  return new GgufError(
    'not-gguf',
    `${label} cannot be read: ${host} sends a web page instead of the file; ${advice}.`,
  );
}
