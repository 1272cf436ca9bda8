import { existsSync } from 'node:fs';
import {
  budgetOfDevice,
  budgetOfFacts,
  budgetOfMachine,
  fitModel,
  largestSmallerModel,
  llamaFlags,
  SPARE_SYSTEM_BYTES,
  type Fit,
  type MemoryBudget,
  type PartialPlacement,
  type SmallerModel,
} from '../advise/index.ts';
import { findDeviceRecord, readMachineRecordsNaming } from '../catalog/host/index.ts';
import { findMachine, resolveMachine } from '../catalog/index.ts';
import { modelFrom, webAccessOf } from '../model/host/index.ts';
import {
  contextNote,
  hasAllTensors,
  MIX_NAMES,
  shapeOf,
  tensorsOf,
  type ContextMemorySettings,
  type KvCacheType,
  type MixName,
  type ModelShape,
  type Placement,
} from '../model/index.ts';
import { formatBytes } from '../units/index.ts';
import type { CliContext } from './context.ts';
import { CommandFailure, type ExitCode } from './exit.ts';
import { refuseMissingFile, THIS_MACHINE } from './machine-name.ts';
import { checkDraft, companionNotes, heldBackNotes, projectorOf } from './fit-companions.ts';
import type { FitFlags } from './fit-options.ts';
import {
  fitBarKey,
  fitBars,
  fitSentence,
  fitTable,
  roomSentences,
  splitNote,
  splitRows,
} from './fit-text.ts';
import { knownModels, knownModelsNaming } from './known-models.ts';
import { warnOfOtherTypes } from './other-types.ts';
import { printDocument, printTable } from './output.ts';

/** A machine whose memory is known. */
interface NamedBudget {
  readonly name: string;
  readonly budget: MemoryBudget;
}

/** Says what a model takes, and whether a machine has it. */
export async function runFit(model: string, flags: FitFlags, context: CliContext): Promise<ExitCode> {
  const named = await modelFrom(model, {
    records: knownModelsNaming(model.split(':')[0] ?? model, context),
    access: webAccessOf(process.env, context.signal),
  });
  const { id, title, shape, mix: quantisation, file } = named;
  const isFileKnown = file !== null && hasAllTensors(file.tensors, tensorsOf(shape, quantisation));
  // What llama.cpp is asked about is the file itself where it is here, and else one by the rules of the mix.
  if (!isFileKnown || (flags.exact === true && named.source !== 'file')) warnOfOtherTypes(named, context);
  const settings = settingsOf(flags, shape);
  const machineName = flags.machine === THIS_MACHINE ? undefined : flags.machine;
  const machine = await budgetFor(machineName);
  const placement: Placement = {
    gpuLayers: flags.nGpuLayers < 0 ? null : flags.nGpuLayers,
    cpuMoeLayers: flags.nCpuMoe,
    ...sharesFor(flags, machine),
  };
  warnOfPlacement(flags, machine, shape, context);
  if (flags.draftMtp === true) checkDraft(shape, flags);
  const projector = flags.mmproj === true ? projectorOf(shape, machine.budget) : null;
  const fit = fitModel({
    shape,
    mix: quantisation,
    ...(isFileKnown ? { fileTensors: file.tensors } : {}),
    settings,
    placement,
    budget: machine.budget,
    ...(projector === null ? {} : { projectorBytes: projector.weightBytes }),
    mixes: MIX_NAMES.filter((name) => name !== 'F32'),
  });
  if ('unsupported' in fit) {
    throw new CommandFailure(`llama.cpp refuses these settings for ${id}: ${fit.unsupported}.`);
  }
  const exact =
    flags.exact === true
      ? await (
          await import('./fit-exact.ts')
        ).askEngine(
          {
            shape,
            mix: quantisation,
            file: isFileKnown && named.source === 'file' ? { path: model, tensors: file.tensors } : null,
          },
          settings,
          placement,
          context,
        )
      : null;
  const { contextTokens, sequences, unifiedCache } = settings;
  const note = contextNote(shape, unifiedCache ? contextTokens : Math.floor(contextTokens / sequences));
  const chosen = fit.partial?.placement ?? placement;
  const onGpu = (each: Placement): Placement | null => (machine.budget.kind === 'processor' ? null : each);
  const smaller = isStuck(fit) ? smallerModel(shape, quantisation, settings, machine, context) : null;
  if (flags.json === true) {
    printDocument(context, 'fit', {
      model: { id, quantisation },
      machine: machine.name,
      settings: fit.breakdown.context,
      placement,
      projector,
      ...fit,
      note,
      llamaFlags: llamaFlags(settings, onGpu(chosen)),
      ...(smaller === null
        ? {}
        : {
            smallerModel: {
              id: smaller.shape.id,
              contextTokens: smaller.contextTokens,
              totalBytes: smaller.breakdown.totalBytes,
            },
          }),
      ...(exact === null ? {} : { engine: exact }),
    });
    return 0;
  }
  print(
    {
      title: `${title} ${quantisation} on ${machine.name}`,
      fit,
      settings,
      note,
      beside: [...heldBackNotes(fit.heldBackBytes), ...companionNotes(shape, settings, projector)],
      companions: projector === null ? [] : ['--mmproj', 'MMPROJ.gguf'],
      isHostKnown: machine.budget.kind !== 'gpu' || machine.budget.systemBytes !== null,
      llama: proposal(fit, settings, onGpu(chosen), onGpu(placement)),
      smaller: isStuck(fit) ? smallerSentence(smaller, quantisation, machine.name, machineName) : null,
    },
    context,
  );
  if (exact !== null)
    (await import('./fit-exact.ts')).printEngine(
      exact,
      machineName === undefined ? null : machine.name,
      context,
    );
  return 0;
}

/** Whether neither a shorter context, nor a smaller quantisation, nor a part in the system's memory would do. */
function isStuck({ verdict, longestContextTokens, largestMix, partial, reduced }: Fit): boolean {
  return (
    verdict !== null &&
    verdict !== 'fits' &&
    longestContextTokens === null &&
    largestMix === null &&
    partial === null &&
    reduced === null
  );
}

/** What llama-server is to be called with: a command that is known to fail is no advice. null: nothing fits. */
function proposal(
  fit: Fit,
  settings: ContextMemorySettings,
  chosen: Placement | null,
  wanted: Placement | null,
): readonly string[] | null {
  const { verdict, partial, longestContextTokens, largestMix, reduced } = fit;
  const file = (mix: string | null): string[] => ['-m', mix === null ? 'MODEL.gguf' : `MODEL-${mix}.gguf`];
  if (verdict === null || verdict === 'fits' || partial !== null) {
    return [...file(null), ...llamaFlags(settings, chosen)];
  }
  if (longestContextTokens !== null) {
    return [...file(null), ...llamaFlags({ ...settings, contextTokens: longestContextTokens }, wanted)];
  }
  if (largestMix !== null) return [...file(largestMix), ...llamaFlags(settings, wanted)];
  if (reduced === null) return null;
  const { mix, contextTokens } = reduced;
  return [...file(mix), ...llamaFlags({ ...settings, contextTokens }, wanted)];
}

/** Only asked for where nothing of the wanted model fits: the whole catalogue takes longer to read than one model. */
function smallerModel(
  shape: ModelShape,
  mix: MixName,
  settings: ContextMemorySettings,
  { budget }: NamedBudget,
  context: CliContext,
): SmallerModel | null {
  return largestSmallerModel(shape, knownModels(context).map(shapeOf), mix, settings, budget);
}

function smallerSentence(
  smaller: SmallerModel | null,
  mix: MixName,
  machine: string,
  flag: string | undefined,
): string {
  const none = 'Nothing of it fits, not with the smallest quantisation and the shortest context either.';
  if (smaller === null) return `${none} No model of the catalogue fits ${machine} in ${mix}.`;
  const { shape, contextTokens, breakdown } = smaller;
  return `${none} The largest model that does is ${shape.id}: ${formatBytes(breakdown.totalBytes)} in ${mix} with a context of ${contextTokens} tokens (ridgepoint fit ${shape.id}:${mix} --ctx ${contextTokens}${flag === undefined ? '' : ` --machine ${flag}`}).`;
}

/** The shares that were asked for, one for each GPU: those that are not named get nothing, as in llama.cpp. */
function sharesFor(
  { tensorSplit }: FitFlags,
  { name, budget }: NamedBudget,
): Pick<Placement, 'deviceShares'> {
  if (tensorSplit === undefined) return {};
  const gpus = budget.kind === 'gpu' ? budget.gpus.length : budget.kind === 'shared' ? 1 : 0;
  if (gpus === 0) {
    throw new CommandFailure(
      `--tensor-split divides a model between GPUs, and ${name} has none; leave it out, or name another machine with --machine.`,
    );
  }
  if (tensorSplit.length > gpus) {
    throw new CommandFailure(
      `--tensor-split has ${tensorSplit.length} shares, but ${name} has ${gpus === 1 ? 'one GPU' : `${gpus} GPUs`}; name as many as there are, or fewer.`,
    );
  }
  const shares = Array.from({ length: gpus }, (_, device) => tensorSplit[device] ?? 0);
  return { deviceShares: shares };
}

/** Says of settings that change nothing that they do not. */
function warnOfPlacement(
  flags: FitFlags,
  { name, budget }: NamedBudget,
  shape: ModelShape,
  context: CliContext,
): void {
  const warn = (text: string): void => {
    context.stderr(`warning: ${text}`);
  };
  if (flags.nCpuMoe > 0 && shape.experts === null) {
    warn(
      `--n-cpu-moe changes nothing: ${shape.id} has no experts; --n-gpu-layers leaves whole layers in the system's memory.`,
    );
  } else if (budget.kind === 'processor' && (flags.nCpuMoe > 0 || flags.nGpuLayers >= 0)) {
    warn(`--n-gpu-layers and --n-cpu-moe change nothing: llama.cpp has no GPU on ${name}.`);
  }
}

function settingsOf(flags: FitFlags, shape: ModelShape): ContextMemorySettings {
  return {
    contextTokens: flags.ctx ?? shape.contextLength,
    sequences: flags.parallel,
    unifiedCache: flags.unified === true,
    batchTokens: flags.batchSize,
    ubatchTokens: flags.ubatchSize,
    cacheTypeK: cacheType(flags.cacheTypeK),
    cacheTypeV: cacheType(flags.cacheTypeV),
    flashAttention: flags.flashAttn === 'on',
    ...(flags.draftMtp === true ? { draftsFurtherTokens: true } : {}),
  };
}

const CACHE_TYPE_NAMES = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  q8_0: 'Q8_0',
  q4_0: 'Q4_0',
  q4_1: 'Q4_1',
  iq4_nl: 'IQ4_NL',
  q5_0: 'Q5_0',
  q5_1: 'Q5_1',
} as const satisfies Record<FitFlags['cacheTypeK'], KvCacheType>;

const cacheType = (flag: FitFlags['cacheTypeK']): KvCacheType => CACHE_TYPE_NAMES[flag];

/** The memory of a machine of the catalogue, of a device, of a saved machine, or of this one. */
async function budgetFor(name: string | undefined): Promise<NamedBudget> {
  if (name === undefined || existsSync(name)) return budgetOfFile(name);
  refuseMissingFile(name);
  const machines = readMachineRecordsNaming(name);
  const machine = findMachine(name, machines);
  const found = findDeviceRecord(machine?.device ?? name);
  if (machine !== null) {
    const budget = found === null ? null : budgetOfMachine(machine, found.device);
    return known(machine.name, budget);
  }
  if (found === null) {
    // Says which names are near.
    resolveMachine(name, machines);
    throw new CommandFailure(`There is no machine '${name}'.`);
  }
  const title = found.count === 1 ? found.device.name : `${found.count} x ${found.device.name}`;
  return known(title, budgetOfDevice(found.device, null, found.count));
}

async function budgetOfFile(file: string | undefined): Promise<NamedBudget> {
  const { identify } = await import('../machine/index.ts');
  if (file !== undefined) {
    const { readMachine } = await import('./machine.ts');
    return known(file, budgetOfFacts(await readMachine(file)));
  }
  const { gatherMachine } = await import('../machine/host/index.ts');
  return known('this machine', budgetOfFacts(identify(await gatherMachine())));
}

function known(name: string, budget: MemoryBudget | null): NamedBudget {
  if (budget !== null) return { name, budget };
  throw new CommandFailure(
    `The memory of ${name} is not known; name a machine with a size, such as framework-desktop-395-128 (--machine).`,
  );
}

/** @param isHostKnown - whether the memory beside the GPU is known, and was found to be enough. */
function partialSentence({ placement, breakdown }: PartialPlacement, isHostKnown: boolean): string {
  const { gpuLayers, cpuMoeLayers } = placement;
  const beside = formatBytes(breakdown.hostBytes);
  const gpu = breakdown.eachDeviceBytes.length > 1 ? 'the GPUs' : 'the GPU';
  const layers = gpuLayers === 1 ? 'layer' : 'layers';
  const how =
    cpuMoeLayers > 0
      ? `the experts of ${cpuMoeLayers} layers (-ncmoe ${cpuMoeLayers})`
      : `${gpuLayers} ${layers} on ${gpu} (-ngl ${gpuLayers}) and the others`;
  return isHostKnown
    ? `With ${how} in the system's memory it fits: ${formatBytes(breakdown.deviceBytes)} on ${gpu} and ${beside} beside.`
    : `With ${how} in the system's memory it fits, if ${beside} of that are free; ${formatBytes(breakdown.deviceBytes)} are then on ${gpu}.`;
}

/** Characters of a line where the terminal does not say: those of the usual one. */
const USUAL_WIDTH = 80;

interface Printed {
  readonly title: string;
  readonly fit: Fit;
  readonly settings: ContextMemorySettings;
  readonly note: string | null;
  /** What else belongs to the model, and what of it is not known. */
  readonly beside: readonly string[];
  /** Flags of files that are loaded beside the model. */
  readonly companions: readonly string[];
  /** Whether the memory beside a GPU is known. */
  readonly isHostKnown: boolean;
  /** What llama.cpp is to be called with; null where nothing was found that fits. */
  readonly llama: readonly string[] | null;
  /** Where nothing fits: what would. */
  readonly smaller: string | null;
}

function print(
  { title, fit, settings, note, beside, companions, isHostKnown, llama, smaller }: Printed,
  context: CliContext,
): void {
  context.stdout(`${context.colors.bold(title)}\n`);
  const lineWidth = context.columns ?? USUAL_WIDTH;
  const { titles, rows } = fitTable(fit, lineWidth);
  printTable(
    context,
    titles.map((title, column) => ({ title, align: column === 0 ? ('left' as const) : ('right' as const) })),
    rows,
  );
  context.stdout(
    `\n${fitBars(fit, lineWidth).join('\n')}\n${context.colors.dim(fitBarKey(lineWidth).join('\n'))}\n`,
  );
  const sentence = fitSentence(fit, settings.contextTokens);
  if (sentence !== null) context.stdout(sentence);
  if (fit.verdict === 'fits' && !isHostKnown && fit.breakdown.hostBytes > SPARE_SYSTEM_BYTES) {
    context.stdout(
      `${formatBytes(fit.breakdown.hostBytes)} of it lie in the system's memory, whose size is not known here.`,
    );
  }
  if (smaller !== null) context.stdout(smaller);
  if (note !== null) context.stdout(note);
  for (const each of beside) context.stdout(each);
  for (const each of roomSentences(fit, settings.contextTokens)) context.stdout(each);
  if (fit.splits.length > 1) {
    context.stdout(`\nWhat the division of the memory changes:`);
    printTable(
      context,
      [
        { title: 'GPU memory' },
        { title: 'GPU may use', align: 'right' },
        { title: 'system left', align: 'right' },
        { title: 'longest context', align: 'right' },
        { title: 'this one' },
      ],
      splitRows(fit),
    );
    const marked = splitNote(fit);
    if (marked !== null) context.stdout(context.colors.dim(marked));
  }
  if (fit.partial !== null) {
    context.stdout(partialSentence(fit.partial, isHostKnown));
  }
  if (llama !== null) context.stdout(`\nllama-server ${[...llama, ...companions].join(' ')}`);
}
