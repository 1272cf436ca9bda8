import { GgufError } from '../gguf/gguf-error.ts';
import type { GgufHeader } from '../gguf/parse-header.ts';
import { mergeParts, splitSetOf } from '../gguf/split.ts';
import { readHeaderOf } from './read-header.ts';
import { beginsAsWebPage, isWebPage, webPageError } from './web-page.ts';
import { request, type WebAccess, type WebAnswer } from './web.ts';

/** The first range: the metadata before the vocabulary, and the vocabulary of small models. */
const FIRST_RANGE_BYTES = 2 * 2 ** 20;
/**
 * What is read at most of a server that knows no ranges and sends the whole file: twice the longest published header
 * (gpt-oss: 13 MB).
 */
const WHOLE_FILE_LIMIT = 32 * 2 ** 20;

/**
 * Reads the header of a model at an address, and nothing of its weights. A file that is one of several by its name
 * stands for all.
 * @param label - how errors name the model.
 * @throws GgufError when it cannot be reached or is no sound GGUF; the signal's reason when it was aborted.
 */
export async function readRemoteHeader(
  address: string,
  label: string,
  access: WebAccess,
): Promise<GgufHeader> {
  const url = URL.canParse(address) ? new URL(address) : null;
  const set = url === null ? null : splitSetOf(url.pathname);
  if (url === null || set === null) return mergeParts([await readOne(address, label, access)], label);
  const parts: GgufHeader[] = [];
  for (const [index, pathname] of set.entries()) {
    const part = new URL(url);
    part.pathname = pathname;
    parts.push(await readOne(part.href, `${label} (file ${index + 1} of ${set.length})`, access));
  }
  return mergeParts(parts, label);
}

async function readOne(address: string, label: string, access: WebAccess): Promise<GgufHeader> {
  let fileBytes: number | null = null;
  return readHeaderOf({
    label,
    firstReadBytes: FIRST_RANGE_BYTES,
    read: (start, end) =>
      request(address, label, { range: `bytes=${start}-${end - 1}` }, access, async (answer) => {
        const isPage = answer.status < 300 && isWebPage(answer);
        if (isPage) await answer.discard();
        const found = isPage ? null : await readRange(answer, start, end, label);
        if (found === null || (start === 0 && beginsAsWebPage(found.bytes))) {
          throw webPageError(address, label, access);
        }
        if (fileBytes !== null && fileBytes !== found.fileBytes) {
          throw new GgufError('unreadable', `${label} changed while it was read; try again.`);
        }
        fileBytes = found.fileBytes;
        return found;
      }),
  });
}

async function readRange(
  answer: WebAnswer,
  start: number,
  end: number,
  label: string,
): Promise<{ bytes: Uint8Array; fileBytes: number }> {
  if (answer.status === 206) {
    const total = totalOfRange(answer.headers.get('content-range'), start);
    if (total === null) {
      await answer.discard();
      throw new GgufError(
        'no-ranges',
        `${label} cannot be read: the server sends another range than was asked for.`,
      );
    }
    return { bytes: await answer.read(Math.min(end, total) - start), fileBytes: total };
  }
  if (answer.status === 200) return readFromWhole(answer, start, end, label);
  await answer.discard();
  throw refusal(answer.status, label);
}

/** `bytes 0-99/1234`: the length of the file when the range begins where it should. */
function totalOfRange(header: string | null, start: number): number | null {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(header ?? '');
  const total = Number(match?.[2]);
  return match !== null && Number(match[1]) === start && Number.isSafeInteger(total) ? total : null;
}

/** A server without ranges sends the file from its start: so much of it is read as the header may have. */
async function readFromWhole(
  answer: WebAnswer,
  start: number,
  end: number,
  label: string,
): Promise<{ bytes: Uint8Array; fileBytes: number }> {
  const fileBytes = Number(answer.headers.get('content-length') ?? Number.NaN);
  if (!Number.isSafeInteger(fileBytes)) {
    await answer.discard();
    throw new GgufError(
      'no-ranges',
      `${label} cannot be read: the server does not say how long the file is.`,
    );
  }
  if (Math.min(end, fileBytes) > WHOLE_FILE_LIMIT) {
    await answer.discard();
    throw new GgufError(
      'no-ranges',
      `${label} cannot be read without downloading it: the server knows no ranges; download the file and give its path.`,
    );
  }
  const bytes = await answer.read(Math.min(end, fileBytes));
  return { bytes: bytes.subarray(start), fileBytes };
}

/** What a server's refusal means for the user. */
export function refusal(status: number, label: string): GgufError {
  if (status === 401 || status === 403) {
    return new GgufError(
      'refused',
      `${label} is not open to everybody: accept its terms on its page and set HF_TOKEN to a token that may read it.`,
    );
  }
  if (status === 404 || status === 410) {
    return new GgufError('not-found', `There is no ${label}; check its name.`);
  }
  if (status === 416) return new GgufError('truncated', `${label} ends inside its header.`);
  return new GgufError('unreachable', `${label} cannot be read: the server answers ${status}.`);
}
