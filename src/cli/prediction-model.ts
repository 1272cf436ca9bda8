import { findDeviceRecord } from '../catalog/host/index.ts';
import { modelFrom, webAccessOf } from '../model/host/index.ts';
import { weightBytes, type MixName, type ModelShape, type Placement } from '../model/index.ts';
import {
  configure,
  hostOf,
  isPartial,
  parseQuantisation,
  weightTypesOf,
  workOf,
  type Configuration,
  type Host,
} from '../predict/index.ts';
import type { CliContext } from './context.ts';
import { CommandFailure } from './exit.ts';
import { knownModelsNaming } from './known-models.ts';
import type { Target } from './prediction-target.ts';

/** A model to predict for. */
export interface PredictedModel {
  readonly title: string;
  readonly id: string;
  readonly shape: ModelShape;
  readonly mix: MixName;
  readonly configurationOn: (target: Target, settings: Settings) => Configuration;
}

export interface Settings {
  readonly depth: number;
  readonly ubatch: number | null;
  readonly flashAttention: boolean | null;
  readonly cacheType: string | null;
  /** What stays with the processor; absent: nothing. */
  readonly placement?: Placement | null;
  /** The processor beside a graphics card. */
  readonly hostDevice?: string | null;
}

/** Resolves `name:QUANT`, a GGUF file or `org/repo:QUANT`. */
export async function openModel(text: string, context: CliContext): Promise<PredictedModel> {
  const named = await modelFrom(text, {
    records: knownModelsNaming(text.split(':')[0] ?? text, context),
    access: webAccessOf(process.env, context.signal),
  });
  const quantisation = parseQuantisation(named.mix);
  if (quantisation === null)
    throw new CommandFailure(`Nothing is known about the speed of ${named.mix}; take another quantisation.`);
  const work = workOf(named.shape);
  const fileBytes = named.file?.tensorBytes ?? weightBytes(named.shape, named.mix);
  const types = weightTypesOf(named.shape, named.mix);
  return {
    id: named.id,
    title: `${named.title} ${named.mix}`,
    shape: named.shape,
    mix: named.mix,
    configurationOn: (
      target,
      { depth, ubatch, flashAttention, cacheType, placement = null, hostDevice = null },
    ) =>
      configure({
        device: target.device,
        backend: target.backend,
        engine: 'llama.cpp',
        day: null,
        work,
        quantisation,
        fileBytes,
        depth,
        batch: null,
        ubatch,
        flashAttention,
        typeK: cacheType,
        typeV: cacheType,
        types,
        offload:
          placement === null || target.device.unit === 'cpu' || !isPartial(named.shape, placement)
            ? null
            : { shape: named.shape, placement, host: hostBeside(target, hostDevice) },
      }),
  };
}

/** The processor that keeps a part of a model. @throws CommandFailure when it is not known. */
function hostBeside({ name, record, processor }: Target, hostDevice: string | null): Host {
  const named = hostDevice === null ? processor : (findDeviceRecord(hostDevice)?.device ?? null);
  if (hostDevice !== null && named === null) {
    throw new CommandFailure(
      `There is no processor '${hostDevice}' in the catalogue; ridgepoint devices lists what is.`,
    );
  }
  if (hostDevice !== null && named?.kind === 'discrete-gpu') {
    throw new CommandFailure(
      `${named.name} is a graphics card; name the processor beside it with --host-device, such as amd-ryzen-7950x.`,
    );
  }
  const host = record === null ? null : hostOf(record, named);
  if (host !== null) return host;
  throw new CommandFailure(
    named === null
      ? `A part of the model stays with the processor beside ${name}, which is not known; name it with --host-device.`
      : `No memory bandwidth of ${named.name} is published, so its part of the model cannot be predicted; name another with --host-device.`,
  );
}
