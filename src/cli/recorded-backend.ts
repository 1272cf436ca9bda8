/** The backend in an engine's own words: `Vulkan,BLAS` is vulkan. */
export function backendOf(backends: string): string | null {
  const first = backends.split(/[,+ ]/)[0]?.toLowerCase();
  return first === undefined || first === '' ? null : first;
}
