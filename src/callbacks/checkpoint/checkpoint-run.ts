import { randomBytes } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { hasCode, TorchLearnerError } from '../../check/index.js'
import { clearAside, probe, writing } from '../../files/index.js'
import type { Learner } from '../../learner/index.js'

/** One run of a script, as far as one Learner's fits are concerned that are saved under one name. */
export interface Run {
  /** The same for all files of a run, so that those of an earlier one aren't taken for its own. */
  id: string
  /** Fits that have come to their end. */
  fits: number
}

const runs = new WeakMap<Learner, Map<string, Run>>()
/** By name, the run of this process whose last fit is finished. */
const finished = new Map<string, Run>()

/** The run that a Learner's next fit belongs to. */
export function runOf(learn: Learner, base: string): Run {
  const own = runs.get(learn) ?? new Map<string, Run>()
  runs.set(learn, own)
  const run = own.get(base) ?? { id: newId(), fits: 0 }
  own.set(base, run)
  return run
}

export function newId(): string {
  return randomBytes(8).toString('hex')
}

/** The first fit's file has the plain name. */
export function fileOf(base: string, { fits }: Run): string {
  return fits === 0 ? `${base}.safetensors` : `${base}.fit${fits + 1}.safetensors`
}

/** Notes that a fit has come to its end: the Learner's next one has a file of its own. */
export function finishFit(base: string, run: Run): void {
  run.fits += 1
  finished.set(base, run)
}

/**
 * Notes that a fit begins. Complains if what is saved under this name is another Learner's work that came to its end: a
 * second Learner of the same script would take the first one's weights for its own. Work that failed may be done again.
 */
export function beginFit(base: string, run: Run, resume: boolean): void {
  if (!resume || (finished.get(base) ?? run) === run) {
    finished.delete(base)
    return
  }
  throw new TorchLearnerError(
    'ERR_STATE',
    `Expected a checkpoint of this Learner's own but ${base} holds a fit that another Learner of this process has ` +
      'finished: give each Learner another fname',
  )
}

/** Identifies a file's content as of now, `null` if there is none. */
export async function stampOf(file: string): Promise<string | null> {
  const found = await explained(file, () => stat(file, { bigint: true }).catch(absent))
  return found && `${found.ino}:${found.mtimeNs}:${found.size}`
}

function absent(error: unknown): BigIntStats | null {
  if (hasCode(error, 'ENOENT')) return null
  throw error
}

/** Complains if someone else has written the file since it had this stamp. */
export async function checkStamp(file: string, stamp: string | null): Promise<void> {
  const now = await stampOf(file)
  if (now === null || now === stamp) return
  throw new TorchLearnerError(
    'ERR_STATE',
    `${file} has been written by somebody else since this fit last saw it. Does another process, or another Learner, ` +
      'train with the same checkpoint? Its file is left as it is; give each another fname',
  )
}

/** Makes the folder, clears what killed processes left there, and finds out early whether it can be written to. */
export async function prepareFolder(file: string): Promise<void> {
  await explained(file, async () => {
    await mkdir(dirname(file), { recursive: true })
    await clearAside(dirname(file))
    await probe(file)
  })
}

/** Runs `write`; what the system complains of comes out as a sentence. */
export async function explained<T>(file: string, write: () => Promise<T>): Promise<T> {
  return await writing(
    file,
    write,
    'The checkpoint',
    'What was saved before is still whole: run again with resume once there is a remedy',
  )
}
