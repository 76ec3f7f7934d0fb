import type { Problem } from '../../check/index.js'
import type { Binaries } from './binaries.js'
import type { Probe } from './probe.js'

export interface GpuFacts {
  /** The version of NVIDIA's driver; null without one. */
  readonly driver: string | null
  /** The addon has kernels for CUDA; null without an addon. */
  readonly built: boolean | null
  readonly available: boolean
  readonly devices: number
}

export function gpuFacts(probe: Probe, { addon, trial }: Binaries): GpuFacts {
  const facts = trial?.outcome === 'works' ? trial.facts : null
  return {
    driver: probe.driver(),
    built: addon?.cuda ?? null,
    available: facts?.cudaAvailable ?? false,
    devices: facts?.cudaDevices ?? 0,
  }
}

/** A driver without CUDA in the addon, and the reverse. Both train, on the CPU. */
export function problemsOfGpu({ driver, built, available }: GpuFacts, { trial }: Binaries): Problem[] {
  if (driver !== null && built === false) {
    return [
      {
        code: 'driver-without-cuda-build',
        message: `NVIDIA's driver ${driver} is here, and the addon is one for the CPU, so that the GPU is not used`,
        remedy:
          'For the GPU, set LIBTORCH to a libtorch with CUDA and build with `TORCH_LEARNER_CUDA=1 npx torch-learner build`',
      },
    ]
  }
  if (driver === null && built === true) {
    return [
      {
        code: 'cuda-build-without-driver',
        message: 'The addon is one for CUDA, and there is no NVIDIA driver, so that everything runs on the CPU',
        remedy: 'Install the driver (in a container: start it with `--gpus all`)',
      },
    ]
  }
  if (driver !== null && built === true && trial?.outcome === 'works' && !available) {
    return [
      {
        code: 'cuda-unavailable',
        message: `NVIDIA's driver ${driver} and an addon for CUDA are here, and CUDA does not start`,
        remedy:
          'Bring the driver up to the CUDA version of libtorch, and see that CUDA_VISIBLE_DEVICES does not hide the GPU',
      },
    ]
  }
  return []
}
