import { readDeviceRecords, readModelRecords } from '../src/catalog/host/index.ts';
import { shapeOf } from '../src/model/index.ts';
import {
  configure,
  parseBackend,
  parseQuantisation,
  predictedDevice,
  Predictor,
  usualFamily,
  workOf,
} from '../src/predict/index.ts';
import { readParameters } from '../src/predict/host/index.ts';

const DEPTHS = [0, 4096, 16_384, 65_536, 131_072];
/** The goal of the project: a page may show all of it at once. */
const GOAL_SECONDS = 2;

/** Prints the time that every model of the catalogue on every device at five depths takes to predict, pp and tg. */
export function measurePredictions(): void {
  const devices = readDeviceRecords();
  const models = readModelRecords();
  const parameters = readParameters();
  const quantisation = parseQuantisation('Q4_K_M');
  if (quantisation === null) throw new Error('Q4_K_M is not known');
  const start = process.cpuUsage();
  const predictor = new Predictor(parameters, { devices, models });
  const works = models.map((record) => ({ id: record.id, work: workOf(shapeOf(record)) }));
  let predictions = 0;
  let predicted = 0;
  for (const record of devices) {
    const unit = record.kind === 'cpu' ? 'cpu' : 'gpu';
    const device = predictedDevice(record, 1, unit);
    if (device === null) continue;
    const backend = parseBackend(usualFamily(device.vendor, unit) ?? 'vulkan', device.vendor, unit);
    if (backend === null) continue;
    predicted += 1;
    for (const { id, work } of works) {
      const configuration = configure({
        device,
        backend,
        engine: 'llama.cpp',
        day: null,
        work,
        quantisation,
        fileBytes: null,
        depth: 0,
        batch: null,
        ubatch: null,
        flashAttention: null,
        typeK: null,
        typeV: null,
      });
      const situation = predictor.situation(configuration, id);
      for (const depth of DEPTHS) {
        situation.estimate({ metric: 'generation', context: depth + 64 }, depth);
        situation.estimate({ metric: 'prompt', tokens: 512 }, depth);
        predictions += 2;
      }
    }
  }
  const { user, system } = process.cpuUsage(start);
  process.stdout.write(
    `${works.length} models x ${predicted} devices x ${DEPTHS.length} depths: ${predictions} predictions in ${((user + system) / 1e6).toFixed(2)} s of processor time (goal: below ${GOAL_SECONDS} s)\n`,
  );
}
