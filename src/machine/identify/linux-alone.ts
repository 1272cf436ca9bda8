import { unknown, type Fact } from '../fact.ts';

/** The facts that Linux alone has, as another system states them: unknown, for that reason. */
export function factsOfLinuxAlone(platform: 'darwin' | 'win32') {
  const absent: Fact<never> = unknown('is a matter of Linux', platform);
  return {
    scaling: { governor: absent, energyPreference: absent, scalingDriver: absent },
    gtt: { gttLimitBytes: absent, ttmPagesLimitBytes: absent, gttSizeParameterBytes: absent },
    drivers: { amdgpuDriver: absent, nvidiaModule: absent },
    profiles: { platformProfile: absent, powerProfile: absent, tunedProfile: absent },
    groups: { cpuQuota: absent, memoryLimitBytes: absent },
    tuning: {
      transparentHugePages: absent,
      numaBalancing: absent,
      swappiness: absent,
      iommu: absent,
      kernelParameters: absent,
      amdgpuParameters: absent,
      ttmPagePoolSize: absent,
    },
  };
}
