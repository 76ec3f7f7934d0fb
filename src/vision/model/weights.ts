import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { invalidArgument, messageOf, TorchLearnerError } from '../../check/index.js'
import { loadPthSync } from '../../files/index.js'
import { fetchFile, runProgram, weightsFolder } from '../../provision/index.js'
import type { Tensor } from '../../tensor/index.js'

/**
 * torchvision's ImageNet weights: the first recipe of each network, which is what `pretrained=True` meant there, and the
 * second one, of better accuracy. The digits in a name are the first of the file's SHA-256.
 */
const FILES = {
  resnet18: { IMAGENET1K_V1: 'resnet18-f37072fd.pth' },
  resnet34: { IMAGENET1K_V1: 'resnet34-b627a593.pth' },
  resnet50: { IMAGENET1K_V1: 'resnet50-0676ba61.pth', IMAGENET1K_V2: 'resnet50-11ad3fa6.pth' },
  resnet101: { IMAGENET1K_V1: 'resnet101-63fe2227.pth', IMAGENET1K_V2: 'resnet101-cd907fc2.pth' },
  resnet152: { IMAGENET1K_V1: 'resnet152-394f9c45.pth', IMAGENET1K_V2: 'resnet152-f82ba261.pth' },
  resnext50_32x4d: { IMAGENET1K_V1: 'resnext50_32x4d-7cdf4587.pth', IMAGENET1K_V2: 'resnext50_32x4d-1a0047aa.pth' },
  resnext101_32x8d: { IMAGENET1K_V1: 'resnext101_32x8d-8ba56ff5.pth', IMAGENET1K_V2: 'resnext101_32x8d-110c445d.pth' },
  resnext101_64x4d: { IMAGENET1K_V1: 'resnext101_64x4d-173b62eb.pth' },
  wide_resnet50_2: { IMAGENET1K_V1: 'wide_resnet50_2-95faca4d.pth', IMAGENET1K_V2: 'wide_resnet50_2-9ba9bcbe.pth' },
  wide_resnet101_2: { IMAGENET1K_V1: 'wide_resnet101_2-32ee1156.pth', IMAGENET1K_V2: 'wide_resnet101_2-d733dc28.pth' },
} as const

/** Networks for which there are pretrained weights, by torchvision's names. */
export type WeightsName = keyof typeof FILES

/** Which of torchvision's weights: the first recipe, or the second one, which not all networks have. */
export type WeightsVersion = 'IMAGENET1K_V1' | 'IMAGENET1K_V2'

function fileOf(name: WeightsName, version: WeightsVersion): string {
  const files: Partial<Record<WeightsVersion, string>> = FILES[name]
  const file = Object.hasOwn(files, version) ? files[version] : undefined
  if (file !== undefined) return file
  throw invalidArgument('weights', `${Object.keys(files).join(' or ')} for ${name}`, version)
}

const OFFICIAL = 'https://download.pytorch.org/models'

interface Place {
  name: WeightsName
  url: string
  folder: string
  file: string
  hash: string
}

function placeOf(name: WeightsName, version: WeightsVersion, env: NodeJS.ProcessEnv = process.env): Place {
  const base = env.TORCH_LEARNER_WEIGHTS_URL || OFFICIAL
  if (!URL.canParse(base) || !/^https?:$/.test(new URL(base).protocol)) {
    throw invalidArgument('TORCH_LEARNER_WEIGHTS_URL', 'an https: or http: URL', base)
  }
  const fileName = fileOf(name, version)
  const folder = weightsFolder(env)
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
 * @param version default `IMAGENET1K_V1`
 * @returns the file
 * @throws TorchLearnerError `ERR_DOWNLOAD` when the network doesn't answer within 10 s, falls silent for 30 s, or gives
 * something else
 * @example const file = await downloadWeights('resnet18')
 */
export async function downloadWeights(name: WeightsName, version: WeightsVersion = 'IMAGENET1K_V1'): Promise<string> {
  if (typeof name !== 'string' || !Object.hasOwn(FILES, name))
    throw invalidArgument('name', `one of ${Object.keys(FILES).join(', ')}`, name)
  const place = placeOf(name, version)
  if (existsSync(place.file)) return place.file
  try {
    await fetchFile(place.url, place.file, place.hash, { title: name, variable: 'TORCH_HOME' })
  } catch (error) {
    throw failed(place, messageOf(error), error)
  }
  return place.file
}

/** {@link downloadWeights} for a constructor, which can't wait in another way than by blocking. */
function downloadSync(place: Place): void {
  const args = [place.url, place.file, place.hash, place.name, 'TORCH_HOME']
  // its progress goes to this process's stderr; what went wrong is on stdout
  const { status, stdout, error, signal } = runProgram('fetchFile', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  if (status !== 0)
    throw failed(place, stdout?.trim() || error?.message || `the download was ended by ${signal}`, error)
}

/** The pretrained state dict of a network, fetched when it isn't on disk. Blocks. */
export function pretrainedState(name: WeightsName, version: WeightsVersion): Map<string, Tensor> {
  const place = placeOf(name, version)
  if (!existsSync(place.file)) downloadSync(place)
  return loadPthSync(place.file)
}
