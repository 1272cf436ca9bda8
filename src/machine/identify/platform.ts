import type { Fact } from '../fact.ts';
import type { Gpu, MachineFacts } from '../facts.ts';

/** What one platform's own sources tell; `identify` adds what nvidia-smi, Vulkan and the engine know everywhere. */
export interface PlatformFacts {
  readonly system: Pick<MachineFacts['system'], 'vendor' | 'product'>;
  readonly os: MachineFacts['os'];
  readonly cpu: MachineFacts['cpu'];
  readonly memory: MachineFacts['memory'];
  readonly gpus: Fact<Gpu[]>;
  readonly unifiedMemory: MachineFacts['unifiedMemory'];
  readonly amdgpuDriver: Fact<string>;
  readonly nvidiaModule: Fact<string>;
  readonly firmware: MachineFacts['firmware'];
  readonly power: MachineFacts['power'];
  readonly limits: MachineFacts['limits'];
  readonly tuning: MachineFacts['tuning'];
}
