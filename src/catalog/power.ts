import type { CatalogDevice } from './device-record.ts';
import type { MachineRecord } from './machine-record.ts';

/**
 * What a figure of power is of: `measured`, the whole machine while it ran a language model; `maximum`, the whole machine
 * at most, as its maker states; `chip`, what the chip may draw for long; `cards`, the boards of the graphics cards. The
 * last two leave out the rest of the machine.
 */
export type PowerKind = 'measured' | 'maximum' | 'chip' | 'cards';

export interface PowerFigure {
  readonly watts: number;
  readonly kind: PowerKind;
  /** What ran while it was measured, where that is known. */
  readonly of: string | null;
  /** The id of the source; null: those of the device. */
  readonly source: string | null;
}

/**
 * The power of a machine under load that says most; null where none is known. A rating of a power supply is no such
 * figure, and a burst is none either.
 * @param onCores - the model runs on the processor's cores: what was measured with the GPU is then of something else.
 */
export function powerOfMachine(
  { power, deviceCount }: Pick<MachineRecord, 'power' | 'deviceCount'>,
  device: CatalogDevice,
  onCores: boolean,
): PowerFigure | null {
  const known = (watts: number, kind: PowerKind, of: string | null = null): PowerFigure => ({
    watts,
    kind,
    of,
    source: power?.source.id ?? null,
  });
  const ofGpu = onCores && device.kind !== 'cpu';
  if (power?.loadWatts !== undefined && !ofGpu)
    return known(power.loadWatts[1], 'measured', power.loadOf ?? null);
  if (power?.maximumWatts !== undefined) return known(power.maximumWatts, 'maximum');
  if (power?.gpuWatts !== undefined && !ofGpu) return known(power.gpuWatts, 'cards');
  if (power?.sustainedWatts !== undefined) return known(power.sustainedWatts, 'chip');
  return powerOfDevice(device, deviceCount);
}

/**
 * The power of devices without a machine around them. One design power of a chip that makers may configure says little:
 * the same chip is in tablets and in workstations. There the end of the range counts, at which it is usually measured.
 */
export function powerOfDevice(device: CatalogDevice, count: number): PowerFigure | null {
  const { kind, tdpWatts, configurableTdpWatts } = device;
  const figure = (watts: number, of: PowerKind): PowerFigure => ({
    watts: watts * count,
    kind: of,
    of: null,
    source: null,
  });
  if (kind === 'discrete-gpu') return tdpWatts === null ? null : figure(tdpWatts, 'cards');
  if (configurableTdpWatts !== undefined) return figure(configurableTdpWatts[1], 'chip');
  return kind === 'soc' && tdpWatts !== null ? figure(tdpWatts, 'chip') : null;
}
