import { constants, type Stats } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import path from 'node:path';
import type {
  BenchTest,
  Engine,
  EngineDescription,
  EngineDevice,
  EngineLimits,
  LoadedModel,
  LoadedModelInfo,
  ModelSettings,
  RunRequest,
} from '../engine.ts';
import { EngineFailure, classifyEnd } from '../failure.ts';
import {
  UnknownOptionError,
  llamaBenchArguments,
  parseLlamaBenchDevices,
  parseLlamaBenchHelp,
  parseLlamaBenchRow,
  parseLlamaBenchVersion,
  type LlamaBenchDialect,
  type LlamaBenchRow,
} from '../llama-bench-output.ts';
import type { Nanoseconds } from '../../units/index.ts';
import { startProgram, type ProgramEnd, type RunningProgram } from './program.ts';

/** A driver's first look at its devices may compile shaders or wake a GPU; more than this is a hang. */
const QUESTION_MILLISECONDS = 60_000;

/**
 * llama-bench throws nothing away between repetitions but loads the model for every call, so a call asks for as many
 * repetitions as llama-bench itself does by default.
 */
const REPETITIONS_PER_CALL = 5;

/** What a build of llama-bench says without a model. */
interface Program {
  readonly dialect: LlamaBenchDialect;
  readonly version: ReturnType<typeof parseLlamaBenchVersion>;
  readonly devices: readonly EngineDevice[];
}

/**
 * Any build of llama-bench as an engine: one process per call, driven through its command line and its JSON lines.
 * What it is and which devices it sees is asked once, at the first use.
 */
export function openLlamaBenchEngine(executable: string): Engine {
  const id = `llama-bench:${executable}`;
  let asked: Promise<Program> | null = null;
  const program = (): Promise<Program> => (asked ??= askProgram(executable));
  return {
    id,
    async describe(): Promise<EngineDescription> {
      const { version, devices } = await program();
      return {
        id,
        version: version?.version ?? null,
        buildCommit: version?.buildCommit ?? '',
        buildNumber: version?.buildNumber ?? null,
        // Its rows tell these three; see LoadedModel.build.
        backends: '',
        cpuInfo: '',
        gpuInfo: '',
        devices,
        ruler: null,
      };
    },
    async load(settings, limits, signal) {
      signal?.throwIfAborted();
      await requireModelFile(settings.modelPath);
      return new LlamaBenchModel(executable, await program(), settings, limits, signal);
    },
  };
}

class LlamaBenchModel implements LoadedModel {
  readonly repetitionsPerCall = REPETITIONS_PER_CALL;
  readonly warmsUpItself = true;
  readonly #executable: string;
  readonly #program: Program;
  readonly #settings: ModelSettings;
  readonly #limits: EngineLimits;
  readonly #signal: AbortSignal | undefined;
  #running: RunningProgram | null = null;
  #row: LlamaBenchRow | null = null;
  #log = '';
  #ended = false;

  constructor(
    executable: string,
    program: Program,
    settings: ModelSettings,
    limits: EngineLimits,
    signal: AbortSignal | undefined,
  ) {
    this.#executable = executable;
    this.#program = program;
    this.#settings = settings;
    this.#limits = limits;
    this.#signal = signal;
  }

  get info(): LoadedModelInfo | null {
    if (this.#row === null) return null;
    const { model_type, model_size, model_n_params } = this.#row;
    return { description: model_type, sizeBytes: model_size, parameters: model_n_params };
  }

  get build(): LoadedModel['build'] {
    if (this.#row === null) return null;
    const { build_commit, build_number, backends = '', cpu_info = '', gpu_info = '' } = this.#row;
    return {
      buildCommit: build_commit,
      buildNumber: build_number,
      backends,
      cpuInfo: cpu_info,
      gpuInfo: gpu_info,
    };
  }

  get processId(): number | null {
    return this.#running?.processId ?? null;
  }

  async run({ test, repetitions }: RunRequest): Promise<readonly Nanoseconds[]> {
    this.#signal?.throwIfAborted();
    if (this.#ended) throw new Error('this model was ended');
    const milliseconds = this.#limits.loadMilliseconds + repetitions * this.#limits.repetitionMilliseconds;
    const end = await this.#start(this.#arguments(test, repetitions), milliseconds);
    const row = end.output.split('\n').map(parseLlamaBenchRow).find(isRow);
    if (end.exitCode !== 0 || end.timedOut) throw await this.#failure(end, test);
    if (row === undefined || row.samples_ns.length !== repetitions) {
      throw new EngineFailure(
        'crashed',
        `${this.#executable} ended without the result of ${nameOf(test)} with ${this.#settings.modelPath} as a line of JSON; give the path of a llama-bench that knows -o jsonl.`,
        { engineWords: firstLine(end.output), exitCode: end.exitCode },
      );
    }
    this.#row = row;
    return row.samples_ns;
  }

  buffers(): null {
    return null;
  }

  log(): string {
    return this.#running?.log() ?? this.#log;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await this.#running?.kill();
  }

  #arguments(test: BenchTest, repetitions: number): string[] {
    try {
      return llamaBenchArguments(this.#settings, test, repetitions, this.#program.dialect);
    } catch (error) {
      if (!(error instanceof UnknownOptionError)) throw error;
      throw new EngineFailure(
        'unsupported',
        `${this.#executable} ${error.message}, which ${nameOf(test)} with ${this.#settings.modelPath} needs; use a newer build.`,
      );
    }
  }

  async #start(args: readonly string[], milliseconds: number): Promise<ProgramEnd> {
    const running = startProgram(this.#executable, args, milliseconds, this.#signal);
    this.#running = running;
    try {
      return await running.ended;
    } finally {
      this.#log = running.log();
      this.#running = null;
    }
  }

  /**
   * llama-bench hides the log of llama.cpp, and with it the reason why a model or a context was refused. A call that
   * ended by itself is therefore repeated once with -v, one repetition, only for the engine's own words.
   */
  async #failure(end: ProgramEnd, test: BenchTest): Promise<EngineFailure> {
    let log = end.log;
    if (end.signal === null && !end.timedOut) {
      const verbose = [...this.#arguments(test, 1), '-v'];
      const again = await this.#start(verbose, this.#limits.loadMilliseconds);
      if (again.exitCode === end.exitCode) log = lastLines(again.log);
    }
    return classifyEnd({
      exitCode: end.exitCode,
      signal: end.signal,
      log,
      onGpu: this.#onGpu(),
      timedOut: end.timedOut,
      modelPath: this.#settings.modelPath,
      activity: `running ${nameOf(test)}`,
    });
  }

  #onGpu(): boolean {
    const hasGpu = this.#program.devices.some(({ kind }) => kind !== 'cpu' && kind !== 'accelerator');
    return hasGpu && this.#settings.gpuLayers !== 0;
  }
}

const isRow = (row: LlamaBenchRow | null): row is LlamaBenchRow => row !== null;

function nameOf({ promptTokens, generatedTokens, depthTokens }: BenchTest): string {
  const parts = [
    promptTokens > 0 ? `pp${promptTokens}` : '',
    generatedTokens > 0 ? `tg${generatedTokens}` : '',
  ];
  const depth = depthTokens > 0 ? ` @ d${depthTokens}` : '';
  return parts.filter((part) => part !== '').join('+') + depth;
}

/** The reason stands at the end of a verbose log; what lies before it is the model's metadata, which may say anything. */
const REASON_LINES = 8;

const lastLines = (log: string): string => log.trimEnd().split('\n').slice(-REASON_LINES).join('\n');

const firstLine = (text: string): string => (text.split('\n')[0] ?? '').slice(0, 300);

/** @throws EngineFailure `load-failed` when the path leads to nothing that can be run, or to another program. */
async function askProgram(executable: string): Promise<Program> {
  await requireExecutable(executable);
  const ask = async (argument: string): Promise<ProgramEnd> => {
    const end = await startProgram(executable, [argument], QUESTION_MILLISECONDS).ended;
    if (end.timedOut) {
      throw new EngineFailure(
        'timed-out',
        `${executable} ${argument} did not answer in ${QUESTION_MILLISECONDS / 1000} s; it was killed. Run it by hand to see why.`,
      );
    }
    return end;
  };
  const help = await ask('--help');
  const dialect = parseLlamaBenchHelp(help.output);
  if (dialect === null) {
    const words = help.log.trim() === '' ? '' : ` (it says: ${firstLine(lastLines(help.log))})`;
    throw new EngineFailure(
      'load-failed',
      `${executable} does not answer --help as llama-bench does${words}; give the path of a llama-bench executable.`,
      { engineWords: firstLine(help.log), exitCode: help.exitCode, signal: help.signal },
    );
  }
  // Releases write the version to standard error and the devices to standard output.
  const version = dialect.version ? await ask('--version') : null;
  const devices = dialect.listDevices ? await ask('--list-devices') : null;
  return {
    dialect,
    version: version === null ? null : parseLlamaBenchVersion(`${version.output}\n${version.log}`),
    devices: parseLlamaBenchDevices(devices?.output ?? ''),
  };
}

async function requireExecutable(executable: string): Promise<void> {
  const found = await statOrNull(executable);
  if (found === null) {
    throw new EngineFailure('load-failed', `There is no file ${executable}; give the path of llama-bench.`);
  }
  if (found.isDirectory()) {
    throw new EngineFailure(
      'load-failed',
      `${executable} is a folder; give the path of the llama-bench in it, perhaps ${path.join(executable, 'llama-bench')}.`,
    );
  }
  try {
    await access(executable, constants.X_OK);
  } catch {
    throw new EngineFailure(
      'load-failed',
      `${executable} may not be executed; make it executable (chmod +x) or give the path of another llama-bench.`,
    );
  }
}

async function requireModelFile(modelPath: string): Promise<void> {
  const found = await statOrNull(modelPath);
  if (found === null) {
    throw new EngineFailure('load-failed', `There is no file ${modelPath}; check the model's path.`);
  }
  if (found.isDirectory()) {
    throw new EngineFailure('load-failed', `${modelPath} is a folder; give the path of a .gguf file in it.`);
  }
}

async function statOrNull(file: string): Promise<Stats | null> {
  try {
    return await stat(file);
  } catch {
    return null;
  }
}
