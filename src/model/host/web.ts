import { setTimeout as sleep } from 'node:timers/promises';
import { GgufError } from '../gguf/gguf-error.ts';

/** Where models are looked up, and with which rights. */
export interface WebAccess {
  /** The hub: `HF_ENDPOINT`, or huggingface.co. */
  readonly endpoint: string;
  /** `HF_TOKEN`: sent to the hub and to no other host. */
  readonly token: string | null;
  readonly signal: AbortSignal;
  /** Pauses between tries, in milliseconds; absent: {@link RETRY_PAUSES_MS}. */
  readonly retryPausesMs?: readonly number[];
  /** How long a server may be silent, in milliseconds; absent: {@link SILENCE_MS}. */
  readonly silenceMs?: number;
}

const DEFAULT_ENDPOINT = 'https://huggingface.co';

/** The hub's own variables: huggingface_hub, "Environment variables". @param signal - ends every request. */
export function webAccessOf(
  environment: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): WebAccess {
  const { HF_ENDPOINT: endpoint, HF_TOKEN: token } = environment;
  const chosen = endpoint === undefined || endpoint.trim() === '' ? DEFAULT_ENDPOINT : endpoint.trim();
  return {
    endpoint: chosen.replace(/\/+$/, ''),
    token: token === undefined || token.trim() === '' ? null : token.trim(),
    signal,
  };
}

/** Three more tries, each after twice the time: a busy server recovers in seconds or not at all. */
const RETRY_PAUSES_MS = [500, 1000, 2000] as const;
/** The longest pause that a server may ask for (`Retry-After`). */
const LONGEST_PAUSE_MS = 20_000;
/** A server that sends nothing for so long does not answer. */
const SILENCE_MS = 30_000;
/** The hub redirects once or twice; more is a loop. */
const MAX_REDIRECTS = 5;
/** Too many requests, and what servers say when they fail for a moment. */
const WORTH_RETRYING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** An answer whose body is read piece by piece. */
export interface WebAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** Up to `limit` bytes of the body; the rest is not fetched. */
  readonly read: (limit: number) => Promise<Uint8Array>;
  /** Lets go of a body that is not read. */
  readonly discard: () => Promise<void>;
}

/**
 * Asks for an address until it answers, then gives the answer to `use`, whose failure to read the body counts as none.
 * @param label - how errors name what is asked for.
 * @throws GgufError when there is no answer, or one that says no; the signal's reason when it was aborted.
 */
export async function request<Result>(
  address: string,
  label: string,
  headers: Readonly<Record<string, string>>,
  access: WebAccess,
  use: (answer: WebAnswer) => Promise<Result>,
): Promise<Result> {
  const pauses = access.retryPausesMs ?? RETRY_PAUSES_MS;
  for (let attempt = 0; ; attempt += 1) {
    const pause = pauses[attempt];
    try {
      return await once(address, label, headers, access, use);
    } catch (error) {
      access.signal.throwIfAborted();
      if (!(error instanceof TryAgain)) throw error;
      if (pause === undefined) throw unreachable(label, error.message, error);
      await sleep(Math.min(Math.max(pause, error.pauseMs), LONGEST_PAUSE_MS), undefined, {
        signal: access.signal,
      });
    }
  }
}

function unreachable(label: string, reason: string, cause: unknown): GgufError {
  return new GgufError('unreachable', `${label} cannot be read: ${reason}; try again later.`, { cause });
}

/** A failure that may pass. */
class TryAgain extends Error {
  override readonly name = 'TryAgain';
  readonly pauseMs: number;

  constructor(message: string, pauseMs = 0, options?: ErrorOptions) {
    super(message, options);
    this.pauseMs = pauseMs;
  }
}

async function once<Result>(
  address: string,
  label: string,
  headers: Readonly<Record<string, string>>,
  access: WebAccess,
  use: (answer: WebAnswer) => Promise<Result>,
): Promise<Result> {
  const silence = new SilenceTimer(access.silenceMs ?? SILENCE_MS);
  const signal = AbortSignal.any([access.signal, silence.signal]);
  try {
    const response = await followRedirects(address, label, headers, access, signal);
    silence.reset();
    if (WORTH_RETRYING.has(response.status)) {
      await response.body?.cancel();
      const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
      throw new TryAgain(
        `the server answers ${response.status}`,
        Number.isFinite(seconds) ? seconds * 1000 : 0,
      );
    }
    return await use({
      status: response.status,
      headers: response.headers,
      read: (limit) => readBody(response, limit, silence),
      discard: async () => response.body?.cancel(),
    });
  } catch (error) {
    if (error instanceof GgufError || error instanceof TryAgain) throw error;
    // Somebody waits: what was silent for so long is not asked three times more.
    if (silence.signal.aborted) throw unreachable(label, 'the server does not answer', error);
    // fetch tells of every failure of the network with a TypeError whose cause says what it was.
    if (error instanceof TypeError) throw new TryAgain(networkReason(error), 0, { cause: error });
    throw error;
  } finally {
    silence.stop();
  }
}

/** Follows redirects by hand, so that the token goes to the hub alone and only http(s) is ever asked. */
async function followRedirects(
  address: string,
  label: string,
  headers: Readonly<Record<string, string>>,
  access: WebAccess,
  signal: AbortSignal,
): Promise<Response> {
  let url = webAddress(address, label);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await fetch(url, {
      // What a proxy packed would have other offsets.
      headers: { 'accept-encoding': 'identity', ...headers, ...authorisation(url, access) },
      redirect: 'manual',
      signal,
    });
    const location = response.headers.get('location');
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    await response.body?.cancel();
    url = webAddress(new URL(location, url).href, label);
  }
  throw new GgufError('unreachable', `${label} cannot be read: the server redirects in a circle.`);
}

function authorisation(url: URL, { endpoint, token }: WebAccess): Record<string, string> {
  if (token === null || !URL.canParse(endpoint)) return {};
  return url.origin === new URL(endpoint).origin ? { authorization: `Bearer ${token}` } : {};
}

function webAddress(address: string, label: string): URL {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new GgufError('bad-address', `${label} leads to no address that begins with https:// or http://.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new GgufError('bad-address', `The address of ${label} has a password in it; give it without.`);
  }
  return url;
}

async function readBody(response: Response, limit: number, silence: SilenceTimer): Promise<Uint8Array> {
  if (response.body === null) return new Uint8Array(0);
  const reader = response.body.getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (length < limit) {
    const { done, value } = await reader.read();
    if (done) break;
    silence.reset();
    pieces.push(value);
    length += value.byteLength;
  }
  // The server has more to send, which nobody wants.
  await reader.cancel();
  const body = new Uint8Array(Math.min(length, limit));
  let at = 0;
  for (const piece of pieces) {
    body.set(piece.subarray(0, body.byteLength - at), at);
    at += Math.min(piece.byteLength, body.byteLength - at);
  }
  return body;
}

/** Aborts when it was not reset for a while. */
class SilenceTimer {
  private readonly controller = new AbortController();
  private readonly milliseconds: number;
  private timer: NodeJS.Timeout;

  constructor(milliseconds: number) {
    this.milliseconds = milliseconds;
    this.timer = this.start();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  reset(): void {
    clearTimeout(this.timer);
    this.timer = this.start();
  }

  stop(): void {
    clearTimeout(this.timer);
  }

  private start(): NodeJS.Timeout {
    return setTimeout(() => this.controller.abort(), this.milliseconds);
  }
}

function networkReason(error: TypeError): string {
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : error.message;
  const reasons: Readonly<Record<string, string>> = {
    ENOTFOUND: 'its host is not known',
    ECONNREFUSED: 'the server refuses the connection',
    ECONNRESET: 'the connection broke off',
    UND_ERR_SOCKET: 'the connection broke off',
  };
  return reasons[code] ?? `the network fails (${code})`;
}
