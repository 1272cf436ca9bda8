/**
 * Throttle residencies of the binary `gpu_metrics` of amdgpu, format 3.0 (Strix Point, Strix Halo and later APUs).
 * They only grow: the difference over a run names what held the clocks down. Source: Linux,
 * drivers/gpu/drm/amd/include/kgd_pp_interface.h, struct gpu_metrics_v3_0, with the padding of a 64-bit kernel.
 */
const RESIDENCIES: readonly (readonly [string, number])[] = [
  ['prochot', 228],
  ['spl', 232],
  ['fppt', 236],
  ['sppt', 240],
  ['thermal core', 244],
  ['thermal gfx', 248],
  ['thermal soc', 252],
];
const MIN_BYTES = 256;

/** The counters by name, or why there are none. Header: size (16 bits), format and content revision (8 bits each). */
export function parseThrottleResidencies(
  metrics: Uint8Array,
): { readonly counters: Readonly<Record<string, number>> } | { readonly reason: string } {
  const view = new DataView(metrics.buffer, metrics.byteOffset, metrics.byteLength);
  if (metrics.byteLength < 4) return { reason: 'gpu_metrics is too short' };
  const format = view.getUint8(2);
  const content = view.getUint8(3);
  if (format !== 3 || content !== 0 || metrics.byteLength < MIN_BYTES) {
    return { reason: `gpu_metrics of format ${format}.${content} counts no throttle residencies` };
  }
  return {
    counters: Object.fromEntries(RESIDENCIES.map(([name, offset]) => [name, view.getUint32(offset, true)])),
  };
}
