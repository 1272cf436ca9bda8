import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { readDeviceRecords, readModelRecords } from '../src/catalog/host/index.ts';
import { readParameters } from '../src/predict/host/index.ts';
import { bundle } from '../test/browser/bundle.ts';
import { predictTable, type PredictionTable } from './prediction-table.ts';

/** What the bundle exports. */
interface PredictionPage {
  readonly predictTable: typeof predictTable;
}

const DEPTHS = [0, 4096, 16_384, 65_536, 131_072];
/** The goal of the project: a page may show all of it at once. */
const GOAL_SECONDS = 2;

/** Prints the time that every model of the catalogue on every device at five depths takes to predict, pp and tg. */
export function measurePredictions(): void {
  const data = { devices: readDeviceRecords(), models: readModelRecords(), parameters: readParameters() };
  time('Node', () => predictTable(data, DEPTHS));
  const script = bundle(fileURLToPath(new URL('prediction-table.ts', import.meta.url)));
  // The context of this program: the names of a context of its own are looked up slowly, unlike those of a page.
  const page: PredictionPage = vm.runInThisContext(script, { filename: 'page.js' });
  time(`a page's bundle of ${Math.round(script.length / 1000)} kB`, () => page.predictTable(data, DEPTHS));
}

function time(where: string, run: () => PredictionTable): void {
  const start = process.cpuUsage();
  const { models, devices, speeds } = run();
  const { user, system } = process.cpuUsage(start);
  process.stdout.write(
    `${where}: ${models} models x ${devices} devices x ${DEPTHS.length} depths: ${speeds.filter((speed) => speed !== null).length} predictions in ${((user + system) / 1e6).toFixed(2)} s of processor time (goal: below ${GOAL_SECONDS} s)\n`,
  );
}
