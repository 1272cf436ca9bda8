import type { CatalogDevice, ModelRecord } from '../src/catalog/index.ts';
import {
  configure,
  parseBackend,
  parseQuantisation,
  predictedDevice,
  Predictor,
  UNSTATED,
  usualFamily,
  type Parameters,
} from '../src/predict/index.ts';

/** What a page loads to predict anything: plain data. */
export interface PredictionData {
  readonly devices: readonly CatalogDevice[];
  readonly models: readonly ModelRecord[];
  readonly parameters: Parameters;
}

export interface PredictionTable {
  readonly devices: number;
  readonly models: number;
  /** Tokens per second: of every device every model, of that every depth, generation before prompt; null: no peak is known. */
  readonly speeds: readonly (number | null)[];
}

/** Tokens of the tests that llama-bench makes by default. */
const PROMPT = 512;
const GENERATED = 128;

/** Predicts every model in one quantisation on every device at every depth. Runs in Node and in a page. */
export function predictTable(data: PredictionData, depths: readonly number[]): PredictionTable {
  const quantisation = parseQuantisation('Q4_K_M');
  if (quantisation === null) throw new Error('Q4_K_M is not known');
  const predictor = new Predictor(data.parameters, data);
  const speeds: (number | null)[] = [];
  let devices = 0;
  for (const record of data.devices) {
    const unit = record.kind === 'cpu' ? 'cpu' : 'gpu';
    const device = predictedDevice(record, 1, unit);
    if (device === null) continue;
    const backend = parseBackend(usualFamily(device.vendor, unit) ?? 'vulkan', device.vendor, unit);
    if (backend === null) continue;
    devices += 1;
    const canPrompt = device.peaks.fp16 !== null || device.peaks.fp32 !== null;
    for (const model of data.models) {
      const configuration = configure({
        device,
        backend,
        ...UNSTATED,
        work: predictor.reader.work(model),
        quantisation,
      });
      const situation = predictor.situation(configuration, model.id);
      for (const depth of depths) {
        speeds.push(
          situation.estimate({ metric: 'generation', context: depth + GENERATED / 2 }, depth).tokensPerSecond,
          canPrompt ? situation.estimate({ metric: 'prompt', tokens: PROMPT }, depth).tokensPerSecond : null,
        );
      }
    }
  }
  return { devices, models: data.models.length, speeds };
}
