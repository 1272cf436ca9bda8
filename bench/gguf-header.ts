import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { readModelRecords } from '../src/catalog/host/index.ts';
import { planSyntheticFile, shapeOf } from '../src/model/index.ts';
import { modelFrom, readRemoteHeader } from '../src/model/host/index.ts';
import { median, medianInterval, sortSamples } from '../src/stats/index.ts';

/** The library that is compared; installed into a folder of its own that is removed afterwards. */
const PEER = '@huggingface/gguf@0.4.6';
const MODEL = 'qwen3-30b-a3b';
const RUNS = 15;
const CONFIDENCE = 0.95;

interface Reader {
  readonly name: string;
  readonly read: () => Promise<number>;
}

/** What is used of the peer: `gguf(uri, { allowLocalFile })`. */
interface Peer {
  readonly gguf: (
    uri: string,
    options?: { readonly allowLocalFile: boolean },
  ) => Promise<{ readonly tensorInfos: readonly unknown[] }>;
}

/** Prints how long reading the header of a model takes, here and with the peer, and what travels over the network. */
export async function measureHeaders(): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'ridgepoint-bench-'));
  try {
    const peer = await installPeer(folder);
    const record = readModelRecords().find(({ id }) => id === MODEL);
    if (record === undefined) throw new Error(`${MODEL} is not in the catalogue`);
    const plan = planSyntheticFile({ shape: shapeOf(record), mix: 'Q4_K_M' });
    const file = path.join(folder, 'model.gguf');
    writeFileSync(file, plan.header);
    truncateSync(file, plan.fileBytes);
    process.stdout.write(
      `header of ${MODEL}: ${(plan.header.byteLength / 1e6).toFixed(1)} MB, ${plan.tensors.length} tensors\n`,
    );
    const sent = { bytes: 0, requests: 0 };
    const server = createServer((request, response) => {
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      const end = Math.min(Number(to) + 1, plan.fileBytes);
      const body = new Uint8Array(end - Number(from));
      body.set(plan.header.subarray(Number(from), end));
      sent.bytes += body.byteLength;
      sent.requests += 1;
      response.writeHead(206, { 'content-range': `bytes ${from}-${end - 1}/${plan.fileBytes}` }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const listening = server.address();
    const address = `http://127.0.0.1:${listening !== null && typeof listening === 'object' ? listening.port : 0}/m.gguf`;
    const access = { endpoint: 'http://127.0.0.1:9', token: null, signal: new AbortController().signal };
    await compare('local file', [
      {
        name: 'ridgepoint',
        read: async () => (await modelFrom(file, { records: [], access })).file?.tensors.length ?? 0,
      },
      { name: PEER, read: async () => (await peer.gguf(file, { allowLocalFile: true })).tensorInfos.length },
    ]);
    const remote: Reader[] = [
      {
        name: 'ridgepoint',
        read: async () => (await readRemoteHeader(address, 'model', access)).tensors.length,
      },
      { name: PEER, read: async () => (await peer.gguf(address)).tensorInfos.length },
    ];
    await compare('over HTTP on loopback', remote);
    for (const { name, read } of remote) {
      Object.assign(sent, { bytes: 0, requests: 0 });
      await read();
      process.stdout.write(`  ${name}: ${sent.requests} requests, ${(sent.bytes / 1e6).toFixed(1)} MB\n`);
    }
    server.closeAllConnections();
    server.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function installPeer(folder: string): Promise<Peer> {
  mkdirSync(path.join(folder, 'peer'));
  const flags = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--no-save', PEER];
  execFileSync('npm', flags, {
    cwd: path.join(folder, 'peer'),
    stdio: 'ignore',
    shell: process.platform === 'win32',
  });
  const entry = path.join(folder, 'peer', 'node_modules', '@huggingface', 'gguf', 'dist', 'index.mjs');
  return (await import(pathToFileURL(entry).href)) as Peer;
}

/** The readers take turns, so that a busy machine slows both. */
async function compare(what: string, readers: readonly Reader[]): Promise<void> {
  const samples = readers.map((): number[] => []);
  for (let run = 0; run <= RUNS; run += 1) {
    for (const [index, { read }] of readers.entries()) {
      const start = performance.now();
      await read();
      // The first run of each loads and compiles.
      if (run > 0) samples[index]?.push(performance.now() - start);
    }
  }
  process.stdout.write(`${what} (median of ${RUNS} runs and its ${CONFIDENCE * 100} % interval)\n`);
  for (const [index, { name }] of readers.entries()) {
    process.stdout.write(`  ${name}: ${spread(samples[index] ?? [])} ms\n`);
  }
  const [own = [], peer = []] = samples;
  process.stdout.write(`  ratio: ${spread(own.map((value, run) => value / (peer[run] ?? Number.NaN)))}\n`);
}

function spread(values: readonly number[]): string {
  const sorted = sortSamples(values);
  const { low, high } = medianInterval(sorted, CONFIDENCE);
  return `${median(sorted).toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}
