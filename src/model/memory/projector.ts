import { bytes, type Bytes } from '../../units/index.ts';
import type { ModelShape, VisionShape } from '../shape.ts';

/**
 * The file of a model that turns images into embeddings (mmproj), which `llama-server --mmproj` loads whole onto the
 * first GPU (`load_tensors`, tools/mtmd/clip.cpp, llama.cpp release v0.5.0).
 */
export interface ProjectorMemory {
  readonly weightBytes: Bytes;
  /** `tensors`: to the byte; `parameters`: two bytes for each of a published number, some of which have four. */
  readonly basis: 'tensors' | 'parameters';
}

/** Types of the two kinds of files that are published most (`tensor_force_quant`, conversion/base.py). */
export type ProjectorType = 'F16' | 'BF16';

/** Tensors of one size, and how many bytes each value has. */
interface TensorGroup {
  readonly count: number;
  readonly values: number;
  readonly valueBytes: number;
}

const HALF = 2;
/** Vectors and positions. */
const FULL = 4;
/** Red, green and blue. */
const CHANNELS = 3;
/** The three dimensions of a patch are those of two pictures of a video, kept as two tensors. */
const FRAMES = 2;

/** Every size that the tensors of an encoder of the common kinds follow from. */
interface EncoderShape {
  readonly layers: number;
  readonly width: number;
  readonly feedForward: number;
  readonly patch: number;
  /** Of the language model's embeddings. */
  readonly projected: number;
}

const matrices = (count: number, rows: number, columns: number): TensorGroup => ({
  count,
  values: rows * columns,
  valueBytes: HALF,
});
const vectors = (count: number, values: number): TensorGroup => ({ count, values, valueBytes: FULL });

/** `tensor_force_quant`: patches are F16 in a file of that type, and F32 in others. */
const patches = (count: number, { width, patch }: EncoderShape, type: ProjectorType): TensorGroup => ({
  count,
  values: width * CHANNELS * patch ** 2,
  valueBytes: type === 'F16' ? HALF : FULL,
});

/** Two linear layers behind four patches laid side by side, the first with a norm (`mm.0`, `mm.2`). */
function merger(width: number, projected: number): TensorGroup[] {
  const merged = 4 * width;
  return [
    matrices(1, merged, merged),
    vectors(1, merged),
    matrices(1, merged, projected),
    vectors(1, projected),
  ];
}

/** `PROJECTOR_TYPE_QWEN3VL`, of Qwen 3 VL, 3.5, 3.6 and 3.8. */
function qwen3Tensors(shape: EncoderShape, vision: VisionShape, type: ProjectorType): TensorGroup[] {
  const { layers, width, feedForward, projected } = shape;
  const deepstack = vision.deepstackLayers?.length ?? 0;
  const merged = 4 * width;
  return [
    patches(FRAMES, shape, type),
    vectors(1, width),
    vectors(vision.positions ?? QWEN3_POSITIONS, width),
    matrices(layers, width, 3 * width),
    vectors(layers, 3 * width),
    matrices(layers, width, width),
    matrices(2 * layers, width, feedForward),
    vectors(layers, feedForward),
    // Both norms with their biases, and the biases of what goes back to the stream.
    vectors(6 * layers, width),
    vectors(2, width),
    ...merger(width, projected),
    ...(deepstack === 0 ? [] : merger(width, projected).map((each) => ({ ...each, count: deepstack }))),
    vectors(2 * deepstack, merged),
  ];
}

/** `num_position_embeddings` of every published configuration of this kind: 48 x 48. */
const QWEN3_POSITIONS = 2304;

/** `PROJECTOR_TYPE_QWEN25VL`. */
function qwen25Tensors(shape: EncoderShape, _vision: VisionShape, type: ProjectorType): TensorGroup[] {
  const { layers, width, feedForward, projected } = shape;
  return [
    patches(FRAMES, shape, type),
    matrices(4 * layers, width, width),
    matrices(3 * layers, width, feedForward),
    vectors(2 * layers, feedForward),
    // Biases of queries, keys, values, output and network, and two norms without.
    vectors(7 * layers, width),
    vectors(1, width),
    ...merger(width, projected),
  ];
}

/** `PROJECTOR_TYPE_GEMMA3`: SigLIP, whose embeddings stay F32 (conversion/gemma.py). */
function gemma3Tensors(shape: EncoderShape, vision: VisionShape): TensorGroup[] {
  const { layers, width, feedForward, patch, projected } = shape;
  const positions = Math.floor((vision.imageSize ?? 0) / patch) ** 2;
  return [
    vectors(1, width * CHANNELS * patch ** 2),
    vectors(1, width),
    vectors(positions, width),
    matrices(4 * layers, width, width),
    matrices(2 * layers, width, feedForward),
    vectors(layers, feedForward),
    vectors(9 * layers, width),
    vectors(2, width),
    matrices(1, width, projected),
    vectors(1, width),
  ];
}

/** `PROJECTOR_TYPE_PIXTRAL`, of Mistral Small 3.1 and later; what joins four patches is typed as patches are. */
function pixtralTensors(shape: EncoderShape, _vision: VisionShape, type: ProjectorType): TensorGroup[] {
  const { layers, width, feedForward, projected } = shape;
  return [
    patches(1, shape, type),
    matrices(4 * layers, width, width),
    matrices(3 * layers, width, feedForward),
    // Two norms of each layer, one before the first and one before the projection.
    vectors(2 * layers + 2, width),
    { ...matrices(1, 4 * width, width), valueBytes: type === 'F16' ? HALF : FULL },
    matrices(1, width, projected),
    matrices(1, projected, projected),
    // The embedding of the end of a row of patches.
    vectors(1, projected),
  ];
}

const FAMILIES: Readonly<
  Record<string, (shape: EncoderShape, vision: VisionShape, type: ProjectorType) => TensorGroup[]>
> = {
  gemma3: gemma3Tensors,
  llama: pixtralTensors,
  mistral3: pixtralTensors,
  qwen2vl: qwen25Tensors,
  qwen3vl: qwen3Tensors,
  qwen3vlmoe: qwen3Tensors,
  qwen35: qwen3Tensors,
  qwen35moe: qwen3Tensors,
};

/** The tensors of the projector; null: its kind or a size is not known. */
function projectorTensors(
  { architecture, vision, embeddingLength }: ModelShape,
  type: ProjectorType,
): TensorGroup[] | null {
  const family = FAMILIES[architecture];
  if (family === undefined || vision === null) return null;
  const { layers, embeddingLength: width, feedForwardLength: feedForward, patchSize: patch } = vision;
  if (layers === undefined || width === undefined || feedForward === undefined || patch === undefined) {
    return null;
  }
  return family({ layers, width, feedForward, patch, projected: embeddingLength }, vision, type);
}

/** How many weights the projector has; null: not known. */
export function projectorParameters(shape: ModelShape): number | null {
  const tensors = projectorTensors(shape, 'F16');
  if (tensors === null) return shape.vision?.parameters ?? null;
  return tensors.reduce((sum, { count, values }) => sum + count * values, 0);
}

/**
 * What the projector of a model takes; null: the model sees nothing, or nobody said what its encoder is made of. Where it
 * computes takes more, which is not known.
 * @param alignment - of the buffer, bytes.
 */
export function projectorMemory(
  shape: ModelShape,
  type: ProjectorType,
  alignment: number,
): ProjectorMemory | null {
  const tensors = projectorTensors(shape, type);
  if (tensors !== null) {
    const size = tensors.reduce(
      (sum, { count, values, valueBytes }) =>
        sum + count * Math.ceil((values * valueBytes) / alignment) * alignment,
      0,
    );
    return { weightBytes: bytes(size), basis: 'tensors' };
  }
  const parameters = shape.vision?.parameters;
  return parameters === undefined ? null : { weightBytes: bytes(parameters * HALF), basis: 'parameters' };
}
