import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchFile } from '../../scripts/fetch-file.mjs'
import { invalidArgument, TorchLearnerError } from '../native/index.js'
import { loadPthSync } from '../nn/load-pth.js'
import type { Tensor } from '../tensor/index.js'

/**
 * torchvision's ImageNet weights, those that `pretrained=True` means there (IMAGENET1K_V1). The digits in a name are the
 * first of the file's SHA-256.
 */
const FILES = {
  resnet18: 'resnet18-f37072fd.pth',
  resnet34: 'resnet34-b627a593.pth',
  resnet50: 'resnet50-0676ba61.pth',
  resnet101: 'resnet101-63fe2227.pth',
  resnet152: 'resnet152-394f9c45.pth',
} as const

/** Networks for which there are pretrained weights. */
export type WeightsName = keyof typeof FILES

const OFFICIAL = 'https://download.pytorch.org/models'

/** The folder of PyTorch's hub, so that Python and Node share what they have fetched. */
function checkpoints(env: NodeJS.ProcessEnv): string {
  const home = env.TORCH_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'torch')
  return join(home.replace(/^~(?=\/|$)/, homedir()), 'hub', 'checkpoints')
}

interface Place {
  name: WeightsName
  url: string
  folder: string
  file: string
  hash: string
}

function placeOf(name: WeightsName, env: NodeJS.ProcessEnv = process.env): Place {
  const base = env.TORCH_LEARNER_WEIGHTS_URL || OFFICIAL
  if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol)) {
    throw invalidArgument('TORCH_LEARNER_WEIGHTS_URL', 'an https: or http: URL', base)
  }
  const fileName = FILES[name]
  const folder = checkpoints(env)
  const hash = /-([\da-f]+)\.pth$/.exec(fileName)?.[1] ?? ''
  return { name, url: `${base.replace(/\/+$/, '')}/${fileName}`, folder, file: join(folder, fileName), hash }
}

function failed({ name, url, folder, file }: Place, reason: string, cause?: unknown): TorchLearnerError {
  const message =
    `The pretrained weights of ${name} are not in ${folder} and could not be fetched from ${url}: ${reason}. ` +
    `Put the file there by hand (${file}), or start from random weights with pretrained: false`
  return new TorchLearnerError('ERR_DOWNLOAD', message, { cause })
}

/**
 * Fetches the pretrained weights of a network into the folder that PyTorch uses too (`hub/checkpoints` in `TORCH_HOME`, or in
 * `torch` in `XDG_CACHE_HOME`), unless they are there: for services that want it done before {@link visionLearner} needs
 * them, since that one waits. What has arrived of a broken download is used by the next attempt. `TORCH_LEARNER_WEIGHTS_URL`
 * names another place than torchvision's to fetch from.
 *
 * @returns the file
 * @throws TorchLearnerError `ERR_DOWNLOAD` when the network doesn't answer within 10 s, falls silent for 30 s, or gives
 * something else
 * @example const file = await downloadWeights('resnet18')
 */
export async function downloadWeights(name: WeightsName): Promise<string> {
  if (!Object.hasOwn(FILES, name)) throw invalidArgument('name', `one of ${Object.keys(FILES).join(', ')}`, name)
  const place = placeOf(name)
  if (existsSync(place.file)) return place.file
  try {
    await fetchFile(place.url, place.file, place.hash, { title: name })
  } catch (error) {
    throw failed(place, error instanceof Error ? error.message : String(error), error)
  }
  return place.file
}

/** {@link downloadWeights} for a constructor, which can't wait in another way than by blocking. */
function downloadSync(place: Place): void {
  const script = fileURLToPath(new URL('../../scripts/fetch-file.mjs', import.meta.url))
  const { status, stdout, error, signal } = spawnSync(
    process.execPath,
    [script, place.url, place.file, place.hash, place.name],
    // its progress goes to this process's stderr; what went wrong is on stdout
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
      env: { ...process.env, NODE_OPTIONS: '', ELECTRON_RUN_AS_NODE: '1' },
    },
  )
  if (status !== 0)
    throw failed(place, stdout?.trim() || error?.message || `the download was ended by ${signal}`, error)
}

/** The pretrained state dict of a network, fetched when it isn't on disk. Blocks. */
export function pretrainedState(name: WeightsName): Map<string, Tensor> {
  const place = placeOf(name)
  if (!existsSync(place.file)) downloadSync(place)
  return loadPthSync(place.file)
}
