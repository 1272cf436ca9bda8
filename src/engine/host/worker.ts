/**
 * The process in which llama.cpp runs: started by `embedded.ts` with the folder of the engine's libraries as its only
 * argument. It answers one request after the other (see `../protocol.ts`) and dies with its parent.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import koffi from 'koffi';
import { requestSchema, type WorkerRequest } from '../protocol.ts';
import { timeAttention } from './attend.ts';
import { LibraryError, openLibrary, type Library } from './bindings.ts';
import { describeLibrary } from './describe.ts';
import { planMemory } from './memory-plan.ts';
import { timeMultiply } from './multiply.ts';
import { Session } from './session.ts';
import { timeStream } from './stream.ts';
import { timeTransfer } from './transfer.ts';

const REPLY_DESCRIPTOR = 3;
/** prctl(2): the signal that the kernel sends to this process when its parent dies, however it dies. */
const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;

function dieWithParent(): void {
  if (process.platform !== 'linux') return;
  const parent = process.ppid;
  koffi.load(null).func('int prctl(int option, ulong argument)')(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the call took effect.
  if (process.ppid !== parent) process.exit(1);
}

function reply(message: unknown): void {
  const line = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let written = 0; written < line.length;) written += writeSync(REPLY_DESCRIPTOR, line, written);
}

class Worker {
  readonly #library: Library;
  #session: Session | null = null;

  constructor(directory: string) {
    this.#library = openLibrary(directory);
    this.#library.registry('void ggml_backend_load_all_from_path(const char *dir_path)')(directory);
    this.#library.llama('void llama_backend_init()')();
  }

  answer(request: WorkerRequest): unknown {
    switch (request.method) {
      case 'describe':
        return describeLibrary(this.#library);
      case 'load':
        this.#session = new Session(this.#library, request.settings);
        return this.#session.info();
      case 'run':
        return this.#loaded().run(request.test);
      case 'countExperts':
        return this.#loaded().countExperts(request.tokens, request.singly);
      case 'planMemory':
        return planMemory(this.#library, request.request);
      case 'multiply':
        return { samplesNanoseconds: timeMultiply(this.#library, request) };
      case 'attend':
        return { samplesNanoseconds: timeAttention(this.#library, request) };
      case 'stream':
        return timeStream(this.#library, request);
      case 'transfer':
        return { samplesNanoseconds: timeTransfer(this.#library, request) };
    }
  }

  #loaded(): Session {
    if (this.#session === null) throw new LibraryError('no model is loaded');
    return this.#session;
  }
}

dieWithParent();
let worker: Worker | LibraryError;
try {
  worker = new Worker(process.argv[2] ?? '');
} catch (error) {
  if (!(error instanceof LibraryError)) throw error;
  worker = error;
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const request = requestSchema.parse(JSON.parse(line));
    try {
      if (worker instanceof LibraryError) throw worker;
      reply({ id: request.id, answer: worker.answer(request) });
    } catch (error) {
      if (!(error instanceof LibraryError)) throw error;
      reply({ id: request.id, refusal: { message: error.message } });
    }
  })
  // llama.cpp's own threads and static destructors have nothing left to do, and some crash when they try.
  .on('close', () => process.exit(0));
