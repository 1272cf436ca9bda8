import type { EngineProbe } from '../probe.ts';
import type { WorkerProcess } from './worker-process.ts';

/** What a request may take beyond the time that it was given: quantising, uploading, compiling shaders. */
const GRACE_MILLISECONDS = 60_000;

/** A probe over workers: one at a time, and a new one after the last has died. */
export function openProbe(start: () => WorkerProcess): EngineProbe {
  let worker: WorkerProcess | null = null;
  const ready = (): WorkerProcess => {
    // A worker without a process has ended, and its failure has been told to whoever asked it.
    if (worker?.processId === null) worker = null;
    worker ??= start();
    return worker;
  };
  const limit = (milliseconds: number): number => milliseconds + GRACE_MILLISECONDS;
  return {
    get processId() {
      return worker?.processId ?? null;
    },
    async multiply(request) {
      const { type, rows, batch, columns, milliseconds } = request;
      const activity = `multiplying ${type} ${rows}x${batch}x${columns}`;
      return (await ready().ask('multiply', request, limit(milliseconds), activity)).samplesNanoseconds;
    },
    async attend(request) {
      const { heads, keyValueHeads, headLength, cells, milliseconds } = request;
      const activity = `attending to ${cells} tokens with ${heads}/${keyValueHeads} heads of ${headLength}`;
      return (await ready().ask('attend', request, limit(milliseconds), activity)).samplesNanoseconds;
    },
    stream: (request) =>
      ready().ask('stream', request, limit(request.milliseconds), `streaming (${request.operation})`),
    async transfer(request) {
      const activity = `copying ${request.direction} (${request.memory})`;
      return (await ready().ask('transfer', request, limit(request.milliseconds), activity))
        .samplesNanoseconds;
    },
    async end() {
      await worker?.end();
    },
  };
}
