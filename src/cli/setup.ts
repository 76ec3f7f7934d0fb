import { createInterface } from 'node:readline/promises'
import {
  ADDON_PACKAGE,
  anyAddon,
  baseVersion,
  buildAddon,
  buildCommand,
  buildIntoCache,
  cacheFolder,
  checkTools,
  findLibtorch,
  isCheckout,
  type Libtorch,
  makeReady,
  packageVersion,
  placeOf,
  provision,
  refuseMusl,
  SIZES,
  type Source,
  sourceOf,
  VERSION,
} from '../provision/index.js'
import { parse, sizeText, UsageError } from './arguments.js'

const BACKENDS = ['auto', 'cpu', 'cu130']

const say = (text: string) => console.log(`torch-learner: ${text}`)

/** `torch-learner setup`: what the package needs on this machine, as far as it isn't here. @returns the exit code */
export async function setup(args: readonly string[]): Promise<number> {
  const { values } = parse({
    args: [...args],
    options: {
      backend: { type: 'string', default: 'auto' },
      from: { type: 'string' },
      sha256: { type: 'string' },
      dev: { type: 'boolean', default: false },
      yes: { type: 'boolean', short: 'y', default: false },
    },
  })
  if (!BACKENDS.includes(values.backend)) {
    throw new UsageError(`Expected auto, cpu or cu130 for --backend but received ${JSON.stringify(values.backend)}`)
  }
  if (values.sha256 !== undefined && values.from === undefined)
    throw new UsageError('--sha256 is of the file of --from')
  if (values.backend === 'cu130') throw new Error(NO_CUDA)
  refuseMusl()
  const source = values.from === undefined ? undefined : { from: values.from, sha256: values.sha256, name: '--from' }
  if (source) placeOf(source)

  const addon = anyAddon()
  if (!addon) return await withoutAddon(source, values.yes)
  const version = baseVersion(addon.stamp.libtorch)
  const need = { version, cuda: addon.stamp.cuda, headers: values.dev, builtWith: addon.stamp.root }
  const libtorch = await libtorchFor(need, source, values.yes)
  if (libtorch) say(`ready: libtorch ${libtorch.version} in ${libtorch.root}, the addon in ${addon.folder}`)
  return libtorch ? 0 : 1
}

const NO_CUDA =
  'there is no CUDA build of the addon yet, so that the CUDA build of libtorch would be of no use: take --backend cpu. To try it ' +
  `with a compiler and nvcc, unpack libtorch ${VERSION} for CUDA 13.0, set LIBTORCH to its folder and TORCH_LEARNER_CUDA=1, and run ` +
  '`npx torch-learner build`'

/** What is needed to compile, or to be told of. */
async function withoutAddon(source: Source | undefined, yes: boolean): Promise<number> {
  if (isCheckout() && !source) {
    say(await makeReady())
    return 0
  }
  try {
    checkTools()
  } catch (error) {
    const install = `npm install --include=optional, or npm install ${ADDON_PACKAGE}@${packageVersion()}`
    throw new Error(
      `there is no compiled addon: install its package (${install}), or compile it (\`${buildCommand()}\`)`,
      {
        cause: error,
      },
    )
  }
  const libtorch = await libtorchFor({ headers: true }, source, yes)
  if (!libtorch) return 1
  await compile(libtorch)
  return 0
}

interface Wanted {
  readonly version?: string
  readonly cuda?: boolean
  readonly headers: boolean
  readonly builtWith?: string | null
}

/** The libtorch that is here, or that is fetched if the user lets us; null if not. */
async function libtorchFor(need: Wanted, source: Source | undefined, yes: boolean): Promise<Libtorch | null> {
  const found = findLibtorch(need)
  if (found.libtorch) {
    const remedy =
      'to take another one, remove it first (`npx torch-learner cache rm libtorch`, when it lies in the cache)'
    if (source) say(`libtorch ${found.libtorch.version} is here already, so that --from was not read: ${remedy}`)
    return found.libtorch
  }
  if (!found.explicit && !yes && !(await isAllowed(source ?? sourceOf(), need.headers))) {
    say('nothing was fetched')
    return null
  }
  return await provision({ ...need, source })
}

/** Asks on a terminal. Elsewhere the command itself is the answer. */
async function isAllowed(source: Source, headers: boolean): Promise<boolean> {
  if (!process.stdin.isTTY) return true
  const place = placeOf(source)
  const where = place.kind === 'url' ? place.url.host : place.path
  const unpacked = sizeText(SIZES.libraries + (headers ? SIZES.headers : 0))
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const question = `Fetch libtorch ${VERSION} (about ${sizeText(SIZES.archive)}, ${unpacked} unpacked) from ${where} into ${cacheFolder()}? [Y/n] `
  try {
    return /^(y(es)?)?$/i.test((await terminal.question(question)).trim())
  } finally {
    terminal.close()
  }
}

async function compile(libtorch: Libtorch): Promise<void> {
  say(`building the addon with libtorch ${libtorch.version} in ${libtorch.root}`)
  if (isCheckout()) {
    await buildAddon(libtorch)
    return say('built')
  }
  say(`built ${await buildIntoCache(libtorch)}`)
}

/** `torch-learner build`: compiles the addon on this machine. */
export async function build(args: readonly string[]): Promise<number> {
  parse({ args: [...args], options: {} })
  refuseMusl()
  checkTools()
  await compile(await provision({ headers: true }))
  return 0
}
