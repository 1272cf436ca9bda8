import { MIB } from '../../units/index.ts';
import { readFrom, type Fact } from '../fact.ts';
import { parseDecimal } from './lists.ts';

/** One line of nvidia-smi, each column known or not: GB10, for one, prints no memory. */
export interface NvidiaTelemetry {
  readonly powerWatts: Fact<number>;
  readonly clockHertz: Fact<number>;
  readonly temperatureCelsius: Fact<number>;
  readonly memoryUsedBytes: Fact<number>;
}

/** Reads `power.draw, clocks.sm, temperature.gpu, memory.used` without header and units: `35.10, 2505, 46, 1024`. */
export function parseNvidiaTelemetry(line: Fact<string>): NvidiaTelemetry {
  const column = (index: number, name: string, scale: number): Fact<number> =>
    readFrom(
      line,
      name,
      (text) => {
        const value = parseDecimal(text.split(',')[index] ?? '');
        return value === undefined ? undefined : value * scale;
      },
      'nvidia-smi prints no number',
    );
  return {
    powerWatts: column(0, 'power.draw', 1),
    clockHertz: column(1, 'clocks.sm', 1e6),
    temperatureCelsius: column(2, 'temperature.gpu', 1),
    memoryUsedBytes: column(3, 'memory.used', MIB),
  };
}
