// Lets one process at a time into a folder. A lock whose owner died is taken over.
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, isSyntaxError } from '../check/index.js'

/** The owner shows that it lives by touching the lock; silent for so long, it is dead, on whatever machine it ran. */
const HEARTBEAT = 5_000
const SILENCE = 60_000

/** Who holds a lock. */
export interface Owner {
  readonly pid: number
  readonly host: string
  readonly token: string
}

/**
 * Does some work while nobody else does any under the same lock.
 *
 * @param path of the lock, a folder: making one is atomic on every file system
 * @param options `onWait` is called once if someone else has it
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  { onWait }: { onWait?: (owner: Owner | null) => void } = {},
): Promise<T> {
  const token = randomUUID()
  let told = false
  while (!take(path, token)) {
    const owner = ownerOf(path)
    if (isStale(path, owner)) {
      breakLock(path, owner)
      continue
    }
    if (!told) onWait?.(owner)
    told = true
    await sleep(200)
  }
  const heartbeat = setInterval(() => touch(path), HEARTBEAT)
  try {
    return await work()
  } finally {
    clearInterval(heartbeat)
    // someone who thought us dead may have it by now
    if (ownerOf(path)?.token === token) rmSync(path, { recursive: true, force: true })
  }
}

function take(path: string, token: string): boolean {
  try {
    mkdirSync(path)
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
  const owner: Owner = { pid: process.pid, host: hostname(), token }
  writeFileSync(join(path, 'owner.json'), JSON.stringify(owner))
  return true
}

/** null: its maker has not come to writing it, or it has just gone. */
function ownerOf(path: string): Owner | null {
  try {
    return JSON.parse(readFileSync(join(path, 'owner.json'), 'utf8'))
  } catch (error) {
    if (hasCode(error, 'ENOENT') || isSyntaxError(error)) return null
    throw error
  }
}

function isStale(path: string, owner: Owner | null): boolean {
  if (owner && owner.host === hostname() && !isAlive(owner.pid)) return true
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat !== undefined && Date.now() - stat.mtimeMs > SILENCE
}

/** Whether that process runs; somebody else's, which can't be signalled, too. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return hasCode(error, 'EPERM')
  }
}

/** Two may find the same lock dead: only the one whose rename moved that very lock goes on. */
function breakLock(path: string, dead: Owner | null): void {
  const aside = `${path}.${randomUUID()}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  if (ownerOf(aside)?.token === dead?.token) rmSync(aside, { recursive: true, force: true })
  else renameSync(aside, path)
}

function touch(path: string): void {
  const now = new Date()
  if (statSync(path, { throwIfNoEntry: false })) utimesSync(path, now, now)
}
