// Where things are kept that were fetched.
import { homedir } from 'node:os'
import { join } from 'node:path'

const atHome = (path: string) => path.replace(/^~(?=\/|$)/, homedir())

/** Pretrained weights: the folder of PyTorch's hub, so that Python and Node share what they have fetched. */
export function weightsFolder(env: NodeJS.ProcessEnv = process.env): string {
  const home = env.TORCH_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'torch')
  return join(atHome(home), 'hub', 'checkpoints')
}

/** Data sets: fastai's folder, for the same reason; `archive/` and `data/` are in it. */
export const datasetsFolder = (env: NodeJS.ProcessEnv = process.env): string => atHome(env.FASTAI_HOME || '~/.fastai')
