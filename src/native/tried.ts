import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { threadId } from 'node:worker_threads'
import type { ErrorCode } from '../check/index.js'
import { failure, type Problem } from '../check/index.js'
import { cacheFolder } from '../provision/index.js'
import { cpuOf, machineKey } from './machine.js'
import { build } from './remedies.js'
import { runTrialSync, type TrialPlan, type TrialResult } from './trial.js'

/** Verdicts that nobody has asked for since are removed. */
const OUTDATED = 90 * 24 * 3600 * 1000

/**
 * Tries in a child process what is about to be loaded, once on a machine: a fault that would end this process becomes an error.
 * That it works is kept in the cache folder, else in the folder for temporary files. Where neither can be written nothing is
 * tried: every import would pay for it. `TORCH_LEARNER_TRIAL=0` switches it off.
 *
 * @param again what brings another addon, as a remedy
 * @throws TorchLearnerError `ERR_ADDON_LOAD` when the child process died
 */
export function refuseDeadly(plan: TrialPlan, again: string): void {
  if (process.env.TORCH_LEARNER_TRIAL === '0' || !canRunNode()) return
  const key = verdictKey(plan)
  if (verdictFolders().some(folder => existsSync(join(folder, `${key}.json`)))) return
  const verdict = reserve(key, plan)
  if (verdict === null) return
  const result = runTrialSync(plan)
  // what fails without dying is told by the loading itself, in its own words
  verdict.end(result.outcome === 'works')
  if (result.outcome !== 'died') return
  const { code, message, remedy } = deathOf(result, again)
  throw failure(code, message, remedy)
}

/** That a trial has just worked, for the imports to come. */
export function keepVerdict(plan: TrialPlan): void {
  reserve(verdictKey(plan), plan)?.end(true)
}

/** What a signal means, and what helps. @param again what brings another addon */
export function deathOf(
  { signal, during, stderr }: Extract<TrialResult, { outcome: 'died' }>,
  again: string,
): Problem & { code: ErrorCode } {
  const told = stderr === '' ? '' : `, saying ${JSON.stringify(stderr)}`
  const message = `A child process that tries the addon ended with ${signal}, ${during}${told}${meaningOf(signal)}`
  return { code: 'ERR_ADDON_LOAD', message, remedy: remedyFor(signal, again) }
}

function meaningOf(signal: string): string {
  if (signal === 'SIGILL') return `: an instruction that this processor (${cpuOf().model}) lacks`
  return signal === 'SIGBUS' ? ': a part of a file is missing, or the disk fails' : ''
}

function remedyFor(signal: string, again: string): string {
  const { avx2 } = cpuOf().features
  if (signal === 'SIGILL' && avx2 === false) return `Use a machine with AVX2, or build on this one with ${build()}`
  if (signal === 'SIGILL') return `Build the addon on this machine with ${build()}`
  return `Run \`npx torch-learner doctor\`, which compares every byte; if it finds no damage: ${again}`
}

/** Whether `process.execPath` is Node itself, and may be started. */
function canRunNode(): boolean {
  if (process.release.name !== 'node' || process.versions.bun !== undefined) return false
  // a program that was made into one executable would run itself again
  if (!/^(?:node|nodejs|electron)[\d.]*(?:\.exe)?$/i.test(basename(process.execPath))) return false
  return process.permission === undefined || process.permission.has('child')
}

/** Of the files that are loaded, as they are now, and of the machine. */
function verdictKey(plan: TrialPlan): string {
  const hash = createHash('sha256').update(machineKey())
  for (const path of [plan.preload, ...plan.libraries, plan.addon]) {
    const { size, mtimeMs } = statSync(path)
    hash.update(`${path}\0${size}\0${mtimeMs}\0`)
  }
  for (const name of ['LD_PRELOAD', 'LD_LIBRARY_PATH']) hash.update(`${process.env[name] ?? ''}\0`)
  return hash.digest('hex').slice(0, 32)
}

/** Those that are there and somebody else's, as one under a known name in /tmp may be, are left alone: nothing is believed or removed. */
function verdictFolders(): string[] {
  const user = process.getuid?.()
  return [join(cacheFolder(), 'tried'), join(tmpdir(), `torch-learner-${user ?? 'user'}`)].filter(folder => {
    try {
      const stat = lstatSync(folder, { throwIfNoEntry: false })
      return stat === undefined || (stat.isDirectory() && (user === undefined || stat.uid === user))
    } catch {
      return false // a folder above is a file, or may not be looked into
    }
  })
}

/** Writes the verdict under another name, so that it is known beforehand that one can be written; null when none can. */
function reserve(key: string, plan: TrialPlan): { end(works: boolean): void } | null {
  const text = `${JSON.stringify({ addon: plan.addon, node: process.version, cpu: cpuOf().model }, null, 2)}\n`
  for (const folder of verdictFolders()) {
    const aside = join(folder, `${key}.${process.pid}-${threadId}.tmp`)
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      removeOutdated(folder)
      writeFileSync(aside, text)
    } catch {
      continue // read-only, of somebody else, or full
    }
    return {
      end: works => {
        // gone when somebody has emptied the cache meanwhile: the next import tries again
        if (works && existsSync(aside)) renameSync(aside, join(folder, `${key}.json`))
        else rmSync(aside, { force: true })
      },
    }
  }
  return null
}

const OWN_NAME = /^[\da-f]{32}\.(json|\d+-\d+\.tmp)$/

function removeOutdated(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!OWN_NAME.test(name)) continue
    const path = join(folder, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (stat?.isFile() && Date.now() - stat.mtimeMs > OUTDATED) rmSync(path, { force: true })
  }
}
