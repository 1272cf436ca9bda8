import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { tinyShape } from '../../../test/fixtures/tiny-shapes.ts';
import { layOutGguf } from '../gguf/encode-header.ts';
import type { GgufErrorCode } from '../gguf/gguf-error.ts';
import { GgufError } from '../gguf/gguf-error.ts';
import { planSyntheticFile } from '../synthetic/file-plan.ts';
import { tensorsOf } from '../tensors.ts';
import { findHubFile, hubNameOf } from './hugging-face.ts';
import { readRemoteHeader } from './read-remote.ts';
import { webAccessOf, type WebAccess } from './web.ts';

const TINY_LLAMA = tinyShape('llama');
const SMALL = planSyntheticFile({ shape: TINY_LLAMA, mix: 'Q4_0' });
/** A vocabulary like those of today: a header of some megabytes. */
const LARGE = planSyntheticFile({ shape: { ...TINY_LLAMA, vocabularySize: 200_000 }, mix: 'Q4_0' });

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A server of this machine; gives its origin. */
async function serve(handler: Handler): Promise<string> {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `http://127.0.0.1:${address.port}`;
}

/** Serves a file whose weights are a hole, with ranges. */
function ranged(header: Uint8Array, fileBytes: number, sent: { bytes: number }): Handler {
  return (request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(from);
    const end = Math.min(Number(to) + 1, fileBytes);
    const body = new Uint8Array(end - start);
    body.set(header.subarray(start, end));
    sent.bytes += body.byteLength;
    response.writeHead(206, { 'content-range': `bytes ${start}-${end - 1}/${fileBytes}` });
    response.end(body);
  };
}

function access(changes: Partial<WebAccess> = {}): WebAccess {
  return {
    endpoint: 'http://127.0.0.1:9',
    token: null,
    signal: new AbortController().signal,
    retryPausesMs: [1, 1, 1],
    ...changes,
  };
}

async function failure(promise: Promise<unknown>): Promise<{ code: GgufErrorCode; message: string }> {
  const error: unknown = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof GgufError)) throw new Error(`no GgufError: ${String(error)}`);
  expect(error.message.split('\n')).toHaveLength(1);
  return { code: error.code, message: error.message };
}

describe('reading a header over the network', () => {
  it('fetches the header and not the weights', async () => {
    const sent = { bytes: 0 };
    const fileBytes = 40 * 2 ** 30;
    const tensors = tensorsOf(TINY_LLAMA, 'Q4_0');
    // The same header, of a file that goes on for long.
    const origin = await serve(ranged(SMALL.header, fileBytes, sent));
    const header = await readRemoteHeader(`${origin}/model.gguf`, 'model', access());
    expect(header.tensors.map(({ name }) => name)).toEqual(tensors.map(({ name }) => name));
    expect(header.fileBytes).toBe(fileBytes);
    expect(sent.bytes).toBeLessThanOrEqual(2 * 2 ** 20);
  });

  it('asks for more until the header ends, and for nothing twice', async () => {
    const sent = { bytes: 0 };
    expect(LARGE.header.byteLength).toBeGreaterThan(3 * 2 ** 20);
    const origin = await serve(ranged(LARGE.header, LARGE.fileBytes, sent));
    const header = await readRemoteHeader(`${origin}/model.gguf`, 'model', access());
    expect(header.dataOffset).toBe(LARGE.header.byteLength);
    expect(sent.bytes).toBeLessThanOrEqual(2 * LARGE.header.byteLength);
  });

  describe('that turns out to be a web page', () => {
    const PAGE = '<!DOCTYPE html><html><head><title>Log in</title></head><body></body></html>';
    const page =
      (type: string): Handler =>
      (_, response) =>
        void response.writeHead(200, { 'content-type': type, 'content-length': PAGE.length }).end(PAGE);

    it.each(['text/html; charset=utf-8', 'application/octet-stream'])(
      'says so, and where from, when it comes as %s',
      async (type) => {
        const origin = await serve(page(type));
        const { host } = new URL(origin);
        expect(await failure(readRemoteHeader(`${origin}/model.gguf`, 'the model', access()))).toEqual({
          code: 'not-gguf',
          message: `the model cannot be read: ${host} sends a web page instead of the file; check that the address is that of the file itself, or, where it needs a login, download the file and give its path.`,
        });
      },
    );

    it('names HF_TOKEN where the hub sends it, without a length and after a redirect to a login', async () => {
      const origin = await serve((request, response) => {
        if (request.url !== '/login') {
          response.writeHead(302, { location: '/login' }).end();
          return;
        }
        response.writeHead(200, { 'content-type': 'text/html' });
        response.write(PAGE);
        response.end();
      });
      const reading = (token: string | null): Promise<{ message: string }> =>
        failure(readRemoteHeader(`${origin}/org/model.gguf`, 'org', access({ endpoint: origin, token })));
      expect((await reading(null)).message).toContain('set HF_TOKEN to a token that may read it.');
      expect((await reading('hf_x')).message).toContain('check that the token in HF_TOKEN may read it.');
    });

    it('is named in place of the list of files', async () => {
      const origin = await serve(page('text/html'));
      const found = await failure(
        findHubFile({ repository: 'org/repo', quantisation: 'Q8_0' }, access({ endpoint: origin })),
      );
      expect(found.message).toMatch(
        /^org\/repo cannot be read: \S+ sends a web page instead of the file; .*HF_TOKEN/,
      );
    });
  });

  it('reads a set of files as one model', async () => {
    const tensors = tensorsOf(TINY_LLAMA, 'Q4_0');
    const half = Math.ceil(tensors.length / 2);
    const parts = [tensors.slice(0, half), tensors.slice(half)].map((own, index) =>
      layOutGguf(
        [
          ['split.no', { type: 'u32', value: index }],
          ['split.count', { type: 'u32', value: 2 }],
          ['split.tensors.count', { type: 'u32', value: tensors.length }],
        ],
        own,
      ),
    );
    const origin = await serve((request, response) => {
      const part = parts[/00001-of/.test(request.url ?? '') ? 0 : 1];
      if (part !== undefined) ranged(part.header, part.fileBytes, { bytes: 0 })(request, response);
    });
    const header = await readRemoteHeader(`${origin}/m-00002-of-00002.gguf?x=1`, 'model', access());
    expect(header.tensors).toHaveLength(tensors.length);
    expect(header.fileBytes).toBe(parts.reduce((sum, { fileBytes }) => sum + fileBytes, 0));
  });

  it('shows the token to the hub alone, whereto it is redirected', async () => {
    const seen: (string | undefined)[] = [];
    const store = await serve((request, response) => {
      seen.push(request.headers.authorization);
      ranged(SMALL.header, SMALL.fileBytes, { bytes: 0 })(request, response);
    });
    const hub = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(302, { location: `${store}/bytes` }).end();
    });
    await readRemoteHeader(
      `${hub}/o/r/resolve/main/m.gguf`,
      'model',
      access({ endpoint: hub, token: 'secret' }),
    );
    expect(seen).toEqual(['Bearer secret', undefined]);
    seen.length = 0;
    await readRemoteHeader(`${store}/m.gguf`, 'model', access({ endpoint: hub, token: 'secret' }));
    expect(seen).toEqual([undefined]);
  });

  /** A server without ranges: the start of a file, and zeros for as long as anybody listens. */
  const endless =
    (start: Uint8Array, sent: { bytes: number }): Handler =>
    (_, response) => {
      response.writeHead(200, { 'content-length': 10 ** 10 });
      response.write(start);
      const more = (): void => {
        while (!response.destroyed) {
          sent.bytes += 2 ** 16;
          if (!response.write(new Uint8Array(2 ** 16))) return;
        }
      };
      response.on('drain', more);
      more();
    };

  it('takes the start of a file from a server without ranges', async () => {
    const sent = { bytes: 0 };
    const origin = await serve(endless(SMALL.header, sent));
    const header = await readRemoteHeader(`${origin}/model.gguf`, 'model', access());
    expect(header.tensors).toHaveLength(SMALL.tensors.length);
    expect(sent.bytes).toBeLessThan(20 * 2 ** 20);
  });

  it('stops a server without ranges when the header is longer than is worth downloading', async () => {
    // One metadata entry, an array of 2^26 numbers.
    const start = new Uint8Array(64);
    const view = new DataView(start.buffer);
    start.set(new TextEncoder().encode('GGUF'));
    view.setUint32(4, 3, true);
    view.setBigUint64(16, 1n, true);
    view.setBigUint64(24, 1n, true);
    start[32] = 'a'.charCodeAt(0);
    view.setUint32(33, 9, true);
    view.setUint32(37, 0, true);
    view.setBigUint64(41, BigInt(2 ** 26), true);
    const sent = { bytes: 0 };
    const origin = await serve(endless(start, sent));
    const { code, message } = await failure(readRemoteHeader(`${origin}/m.gguf`, 'the model', access()));
    expect(code).toBe('no-ranges');
    expect(message).toMatch(/knows no ranges; download the file/);
    expect(sent.bytes).toBeLessThan(80 * 2 ** 20);
  });

  it('tries again what may pass, and gives up in one sentence', async () => {
    let requests = 0;
    const origin = await serve((request, response) => {
      requests += 1;
      if (requests === 1) response.writeHead(503).end();
      else if (requests === 2) request.socket.destroy();
      else if (requests === 3) {
        // A body that breaks off.
        response.writeHead(206, { 'content-range': `bytes 0-99/100`, 'content-length': 100 });
        response.write(new Uint8Array(10), () => request.socket.destroy());
      } else ranged(SMALL.header, SMALL.fileBytes, { bytes: 0 })(request, response);
    });
    const header = await readRemoteHeader(`${origin}/m.gguf`, 'model', access());
    expect(header.tensors).toHaveLength(SMALL.tensors.length);
    expect(requests).toBe(4);
    const busy = await serve((_, response) => response.writeHead(429).end());
    expect(await failure(readRemoteHeader(`${busy}/m.gguf`, 'The model', access()))).toEqual({
      code: 'unreachable',
      message: 'The model cannot be read: the server answers 429; try again later.',
    });
    const gone = await failure(readRemoteHeader('http://127.0.0.1:9/m.gguf', 'The model', access()));
    expect(gone.code).toBe('unreachable');
  });

  it('leaves a silent server, and does not ask it again', async () => {
    let requests = 0;
    const origin = await serve(() => {
      requests += 1;
    });
    const { code, message } = await failure(
      readRemoteHeader(`${origin}/m.gguf`, 'The model', access({ silenceMs: 40 })),
    );
    expect(requests).toBe(1);
    expect([code, message]).toEqual([
      'unreachable',
      'The model cannot be read: the server does not answer; try again later.',
    ]);
  });

  it('ends at once when it is aborted', async () => {
    const origin = await serve(() => undefined);
    const controller = new AbortController();
    const reading = readRemoteHeader(`${origin}/m.gguf`, 'model', access({ signal: controller.signal }));
    setTimeout(() => controller.abort(new Error('enough')), 30);
    await expect(reading).rejects.toThrow('enough');
  });

  it.each([
    [401, 'refused', /HF_TOKEN/],
    [403, 'refused', /HF_TOKEN/],
    [404, 'not-found', /There is no m\.gguf/],
    [418, 'unreachable', /answers 418/],
  ] as const)('says what %i means', async (status, code, message) => {
    const origin = await serve((_, response) => response.writeHead(status).end());
    const found = await failure(readRemoteHeader(`${origin}/m.gguf`, 'm.gguf', access()));
    expect(found.code).toBe(code);
    expect(found.message).toMatch(message);
  });

  it('refuses answers that cannot be trusted', async () => {
    const wrongRange = await serve((_, response) => {
      response.writeHead(206, { 'content-range': 'bytes 5-9/100' }).end('abcd');
    });
    expect((await failure(readRemoteHeader(`${wrongRange}/m.gguf`, 'm', access()))).code).toBe('no-ranges');
    const circle = await serve((_, response) => response.writeHead(302, { location: '/again' }).end());
    expect((await failure(readRemoteHeader(`${circle}/m.gguf`, 'm', access()))).message).toMatch(/circle/);
    const elsewhere = await serve((_, response) =>
      response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    );
    expect((await failure(readRemoteHeader(`${elsewhere}/m.gguf`, 'm', access()))).code).toBe('bad-address');
    const page = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 20 }).end('<html>not found</htm');
    });
    expect((await failure(readRemoteHeader(`${page}/m.gguf`, 'm', access()))).code).toBe('not-gguf');
  });
});

describe('finding a model on the hub', () => {
  const FILES = [
    'README.md',
    'mmproj-F16.gguf',
    'imatrix_unsloth.gguf',
    'Model-Q4_K_M.gguf',
    'Model-UD-Q4_K_M.gguf',
    'UD-Q4_K_XL/Model-UD-Q4_K_XL-00001-of-00002.gguf',
    'UD-Q4_K_XL/Model-UD-Q4_K_XL-00002-of-00002.gguf',
    'BF16/Model-BF16.gguf',
    'model.IQ2_XXS.gguf',
  ];

  /** A hub with two pages of files. */
  async function hub(files: readonly string[] = FILES): Promise<string> {
    return serve((request, response) => {
      if (request.url?.startsWith('/api/models/org/repo/tree/main') !== true) {
        response.writeHead(401).end();
        return;
      }
      const isSecond = /cursor=2/.test(request.url ?? '');
      const own = isSecond ? files.slice(3) : files.slice(0, 3);
      const link = { link: `<http://${request.headers.host}${request.url}&cursor=2>; rel="next"` };
      response.writeHead(200, isSecond ? {} : link);
      response.end(JSON.stringify(own.map((path) => ({ type: 'file', path, size: 1, oid: 'x' }))));
    });
  }

  const find = async (text: string, endpoint: string): Promise<string> => {
    const name = hubNameOf(text);
    if (name === null) throw new Error(`${text} is no name`);
    const { address } = await findHubFile(name, access({ endpoint }));
    return address.replace(endpoint, '');
  };

  it.each([
    ['org/repo:Q4_K_M', '/org/repo/resolve/main/Model-Q4_K_M.gguf'],
    ['org/repo', '/org/repo/resolve/main/Model-Q4_K_M.gguf'],
    ['org/repo:ud-q4_k_m', '/org/repo/resolve/main/Model-UD-Q4_K_M.gguf'],
    ['org/repo:UD-Q4_K_XL', '/org/repo/resolve/main/UD-Q4_K_XL/Model-UD-Q4_K_XL-00001-of-00002.gguf'],
    ['org/repo:bf16', '/org/repo/resolve/main/BF16/Model-BF16.gguf'],
    ['org/repo:IQ2_XXS', '/org/repo/resolve/main/model.IQ2_XXS.gguf'],
  ])('%s is %s', async (text, expected) => {
    expect(await find(text, await hub())).toBe(expected);
  });

  it('takes the only file whatever its quantisation', async () => {
    expect(await find('org/repo', await hub(['a', 'b', 'c', 'only-Q5_1.gguf']))).toMatch(/only-Q5_1/);
  });

  it('lists what there is when it is asked for something else', async () => {
    expect(await failure(find('org/repo:Q3_K_L', await hub()))).toEqual({
      code: 'no-such-quantisation',
      message: 'org/repo has no Q3_K_L; it has Q4_K_M, UD-Q4_K_M, UD-Q4_K_XL, BF16, IQ2_XXS.',
    });
    const two = await hub(['a', 'b', 'c', 'small-Q8_0.gguf', 'large-Q8_0.gguf']);
    expect((await failure(find('org/repo:Q8_0', two))).message).toMatch(/several files of Q8_0/);
    expect((await failure(find('org/repo', await hub(['a', 'b', 'c', 'd'])))).code).toBe('not-found');
  });

  it('says that a token is needed, or another name', async () => {
    const { code, message } = await failure(find('org/closed:Q4_0', await hub()));
    expect(code).toBe('refused');
    expect(message).toMatch(/no org\/closed on 127\.0\.0\.1:\d+, or it is not open.*HF_TOKEN/);
  });

  it('tells names of the hub from paths', () => {
    expect(hubNameOf('unsloth/Qwen3-30B-A3B-GGUF:UD-Q4_K_XL')).toEqual({
      repository: 'unsloth/Qwen3-30B-A3B-GGUF',
      quantisation: 'UD-Q4_K_XL',
    });
    for (const text of ['qwen3-8b:Q4_0', 'a/b/c', 'folder/model.gguf', './a/b', 'a/b:c:d', '']) {
      expect(hubNameOf(text)).toBeNull();
    }
  });

  it('takes the hub and the token from the environment', () => {
    const { signal } = new AbortController();
    expect(webAccessOf({}, signal)).toEqual({ endpoint: 'https://huggingface.co', token: null, signal });
    const own = { HF_ENDPOINT: 'https://mirror.example/hf/', HF_TOKEN: ' hf_x ' };
    expect(webAccessOf(own, signal)).toEqual({
      endpoint: 'https://mirror.example/hf',
      token: 'hf_x',
      signal,
    });
  });
});
