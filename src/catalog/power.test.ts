import { describe, expect, it } from 'vitest';
import { readDeviceRecords, readMachineRecords } from './host/index.ts';
import { powerOfDevice, powerOfMachine, type PowerFigure } from './power.ts';

const devices = readDeviceRecords();
const machines = readMachineRecords();

function powerOf(machineId: string, onCores = false): PowerFigure | null {
  const machine = machines.find(({ id }) => id === machineId);
  const device = devices.find(({ id }) => id === machine?.device);
  if (machine === undefined || device === undefined) throw new RangeError(`${machineId} is not there`);
  return powerOfMachine(machine, device, onCores);
}

function alone(deviceId: string, count = 1): PowerFigure | null {
  const device = devices.find(({ id }) => id === deviceId);
  if (device === undefined) throw new RangeError(`${deviceId} is not there`);
  return powerOfDevice(device, count);
}

describe('the power of a machine', () => {
  it.each([
    ['framework-desktop-395-128', 133, 'measured'],
    ['nvidia-dgx-spark-fe', 150, 'measured'],
    ['mac-studio-m4-max-128', 145, 'maximum'],
    ['asus-rog-flow-z13-128', 90, 'chip'],
    ['dell-pro-max-gb10', 140, 'chip'],
    ['desktop-rtx-5090', 575, 'cards'],
  ])('%s: %i W, %s', (id, watts, kind) => {
    expect(powerOf(id)).toMatchObject({ watts, kind });
  });

  it('on the processor is not what was measured with the GPU', () => {
    expect(powerOf('framework-desktop-395-128', true)).toMatchObject({ watts: 120, kind: 'chip' });
    expect(powerOf('mac-studio-m4-max-128', true)).toMatchObject({ watts: 145, kind: 'maximum' });
  });

  it('is never the rating of a power supply, and a measured one lies below it', () => {
    const rated = machines.flatMap(({ id, power }) =>
      power?.supplyWatts === undefined ? [] : [{ id, supply: power.supplyWatts }],
    );
    expect(rated.length).toBeGreaterThan(2);
    for (const { id, supply } of rated) expect(powerOf(id)?.watts).toBeLessThan(supply);
  });
});

describe('the power of devices alone', () => {
  it('is that of the boards, as many as there are', () => {
    expect(alone('nvidia-rtx-3090', 2)).toMatchObject({ watts: 700, kind: 'cards' });
  });

  it('is the end of the range that makers may set, not the default', () => {
    expect(alone('amd-ryzen-ai-max-395')).toMatchObject({ watts: 120, kind: 'chip' });
    expect(alone('nvidia-dgx-spark-gb10')).toMatchObject({ watts: 140, kind: 'chip' });
  });

  it('stays unknown for a chip whose makers decide within an unknown range, and for a bare processor', () => {
    expect(alone('amd-ryzen-ai-max-385')).toBeNull();
    expect(alone('amd-ryzen-7950x')).toBeNull();
  });
});
