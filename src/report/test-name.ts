import type { MeasurementRecord } from '../measure/index.ts';

/** A test as llama-bench names it: `pp512`, `tg128 @ d4096`, `pp512+tg128`. */
export function testName(test: MeasurementRecord['test']): string {
  const { promptTokens, generatedTokens, depthTokens } = test;
  const parts: string[] = [];
  if (promptTokens > 0 || generatedTokens === 0) parts.push(`pp${promptTokens}`);
  if (generatedTokens > 0) parts.push(`tg${generatedTokens}`);
  return parts.join('+') + (depthTokens > 0 ? ` @ d${depthTokens}` : '');
}
