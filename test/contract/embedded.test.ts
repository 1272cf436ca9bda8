import { afterAll, beforeAll, describe } from 'vitest';
import { embeddedVariants, openEmbeddedEngine } from '../../src/engine/host/index.ts';
import { describeEngineContract } from './engine.contract.ts';

const installed = (variant: string): boolean =>
  embeddedVariants().some((build) => build.variant === variant && build.directory !== null);

describe.skipIf(!installed('cpu'))('with the CPU build', () => {
  describeEngineContract('the embedded engine', () => openEmbeddedEngine({ variant: 'cpu' }));
});

describe.skipIf(process.platform !== 'linux' || !installed('vulkan'))('with the Vulkan build', () => {
  // llvmpipe is a CPU to Vulkan, which the backend takes only when it is told to.
  const before = process.env['GGML_VK_VISIBLE_DEVICES'];
  beforeAll(() => {
    process.env['GGML_VK_VISIBLE_DEVICES'] = '0';
  });
  afterAll(() => {
    if (before === undefined) delete process.env['GGML_VK_VISIBLE_DEVICES'];
    else process.env['GGML_VK_VISIBLE_DEVICES'] = before;
  });
  describeEngineContract('the embedded engine', () => openEmbeddedEngine({ variant: 'vulkan' }), {
    stopped: 'gpu-hang',
    gpuLayers: -1,
    slow: true,
  });
});
