import type { SweepModel } from '../measure/index.ts';
import { shapeHashOf } from '../model/host/index.ts';
import { parameterCount, weightBytes, type MixName, type ModelShape } from '../model/index.ts';

/** What a record says of a synthetic model. Its size and its parameters are the whole model's, however few layers run. */
export function syntheticFacts(name: string, shape: ModelShape, mix: MixName): SweepModel['facts'] {
  return {
    source: 'synthetic',
    name,
    file: `${shape.id}-${mix}`,
    architecture: shape.architecture,
    quantisation: mix,
    shapeHash: shapeHashOf({ shape, mix }),
    description: `${shape.id} ${mix}`,
    sizeBytes: weightBytes(shape, mix),
    parameters: parameterCount(shape),
    layers: shape.layers,
  };
}
