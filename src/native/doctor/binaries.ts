import { dirname } from 'node:path'
import { type Problem, problemOf } from '../../check/index.js'
import {
  codecAdvice,
  type FileRecords,
  findLibtorch,
  libtorchRecords,
  type Step,
  wrongHashes,
} from '../../provision/index.js'
import { planOf } from '../load.js'
import {
  type AddonFiles,
  again,
  findFitting,
  type LocatedLibtorch,
  locateAddon,
  mendLibtorch,
  refuseDamagedAddon,
} from '../locate.js'
import { build } from '../remedies.js'
import { runTrial, type TrialResult } from '../trial.js'
import { deathOf, keepVerdict } from '../tried.js'

/** `hash`: every byte is as it was recorded; `size`: only sizes were recorded; `none`: nothing was. */
export type Verified = 'hash' | 'size' | 'none'

export interface AddonFacts {
  readonly path: string
  readonly place: AddonFiles['place']
  /** The libtorch that it was built with. */
  readonly libtorch: string
  readonly cuda: boolean
  readonly codecs: readonly string[] | null
  readonly verified: Verified
}

export interface LibtorchFacts {
  readonly root: string
  readonly place: string
  readonly version: string
  readonly cuda: boolean
  readonly verified: Verified
}

export interface Binaries {
  readonly addon: AddonFacts | null
  readonly libtorch: LibtorchFacts | null
  /** Places without the libtorch that is needed, and why. */
  readonly lookedAt: readonly Step[]
  /** Null: nothing was tried, because of what is wrong already. */
  readonly trial: TrialResult | null
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
}

/** Looks at the addon and at libtorch, compares every byte with what was recorded, and tries the two in a child process. */
export async function examineBinaries(): Promise<Binaries> {
  const problems: Problem[] = []
  const attempt = <T>(look: () => T): T | null => {
    try {
      return look()
    } catch (error) {
      problems.push(problemOf(error))
      return null
    }
  }
  const files = attempt(locateAddon)
  const addon = files && (await addonFacts(files, problems))
  // without an addon: is there any libtorch?
  const located = files ? attempt(() => findFitting(files.stamp)) : null
  const { libtorch: any, place, steps } = findLibtorch({ builtWith: files?.stamp.root })
  const seen = located ?? (any && place ? { libtorch: any, place } : null)
  const libtorch = seen && (await libtorchFacts(seen, problems))

  // damage that is known needn't be tried, and may hang
  const isSound = files !== null && located !== null && problems.length === 0
  const plan = isSound ? attempt(() => planOf(files, located)) : null
  const trial = plan && (await runTrial(plan))
  if (plan && trial?.outcome === 'works') keepVerdict(plan)
  const failed = isSound && trial ? problemOfTrial(trial, files, located) : null
  if (failed) problems.push(failed)
  return { addon, libtorch, lookedAt: steps, trial, problems, warnings: files ? slowRoads(files) : [] }
}

async function addonFacts(files: AddonFiles, problems: Problem[]): Promise<AddonFacts> {
  const { addon, place, stamp } = files
  const folder = dirname(addon)
  let verified: Verified = 'none'
  try {
    refuseDamagedAddon(files)
    verified = await compare(folder, stamp.files, wrong => {
      problems.push({
        code: 'damaged-addon',
        message: `${wrong} is damaged: its SHA-256 is not the recorded one`,
        remedy: again(files),
      })
    })
  } catch (error) {
    problems.push(problemOf(error))
  }
  return { path: addon, place, libtorch: stamp.libtorch, cuda: stamp.cuda, codecs: stamp.codecs ?? null, verified }
}

async function libtorchFacts(located: LocatedLibtorch, problems: Problem[]): Promise<LibtorchFacts> {
  const { root, version, cuda } = located.libtorch
  let verified: Verified = 'none'
  try {
    verified = await compare(root, libtorchRecords(root), wrong => {
      const message = `${wrong} is damaged: its SHA-256 is not the recorded one`
      problems.push({ code: 'damaged-libtorch', message, remedy: mendLibtorch(located) })
    })
  } catch (error) {
    problems.push(problemOf(error))
  }
  return { root, place: located.place, version, cuda, verified }
}

async function compare(
  folder: string,
  records: FileRecords | null | undefined,
  tell: (path: string) => void,
): Promise<Verified> {
  if (!records) return 'none'
  const { wrong, compared } = await wrongHashes(folder, records)
  wrong.forEach(tell)
  return compared > 0 ? 'hash' : 'size'
}

function problemOfTrial(trial: TrialResult, files: AddonFiles, located: LocatedLibtorch): Problem | null {
  if (trial.outcome === 'works') return null
  if (trial.outcome === 'died') return deathOf(trial, again(files))
  const { message } = trial
  if (trial.outcome === 'unknown') {
    const remedy = 'Let this user start processes, and try again'
    return { code: 'not-tried', message: `The addon could not be tried: ${message}`, remedy }
  }
  const isAddon = trial.during.endsWith(files.addon) || trial.during.endsWith(files.preload)
  return {
    code: 'ERR_ADDON_LOAD',
    message: `The addon does not work here: ${trial.during} failed: ${message}`,
    remedy: isAddon
      ? `If a library of the system is missing, install it; otherwise build the addon for this machine with ${build()}`
      : `If a library of the system is missing, install it; otherwise the folder is damaged. ${mendLibtorch(located)}`,
  }
}

function slowRoads({ stamp }: AddonFiles): Problem[] {
  const advice = stamp.codecs && codecAdvice(stamp.codecs)
  if (!advice) return []
  const [message, remedy] = advice.split('. ')
  return [{ code: 'no-codecs', message: `The addon was ${message}`, remedy: remedy ?? `Run ${build()}` }]
}
