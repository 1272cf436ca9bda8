import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    // Engine workers are started from the TypeScript sources in tests; tsx teaches that child's Node to read them.
    env: { NODE_OPTIONS: '--import tsx' },
    // Two files at once would run two engines at once and make each look slow to the other's time limits.
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
