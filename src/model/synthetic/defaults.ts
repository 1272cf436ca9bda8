/**
 * What a synthetic file says where the record of a model is silent. Neither value changes a size or a speed; the
 * loader of llama.cpp wants the second one for every architecture.
 */

/** `rope_freq_base_train` of a file without the key: `load_hparams`, src/llama-model.cpp, release v0.5.0. */
export const DEFAULT_ROPE_BASE = 10_000;
/** The value of Llama 2 and 3, and the most common one among published configurations. */
export const DEFAULT_NORM_EPSILON = 1e-5;
