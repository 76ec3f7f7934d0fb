// @ts-check
// Lets one process at a time into a folder. A lock whose owner died is taken over.
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isSyntaxError } from '../errors.mjs'

/** The owner shows that it lives by touching the lock; silent for so long, it is dead, on whatever machine it ran. */
const HEARTBEAT = 5_000
const SILENCE = 60_000

/** @typedef {{ pid: number, host: string, token: string }} Owner */

/**
 * @template T
 * @param {string} path of the lock, a folder: making one is atomic on every file system
 * @param {() => Promise<T>} work
 * @param {{ onWait?: (owner: Owner | null) => void }} [options] `onWait` is called once if somebody else has it
 * @returns {Promise<T>}
 */
export async function withLock(path, work, { onWait } = {}) {
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
    // somebody who thought us dead may have it by now
    if (ownerOf(path)?.token === token) rmSync(path, { recursive: true, force: true })
  }
}

/** @param {string} path @param {string} token */
function take(path, token) {
  try {
    mkdirSync(path)
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false
    throw error
  }
  /** @type {Owner} */
  const owner = { pid: process.pid, host: hostname(), token }
  writeFileSync(join(path, 'owner.json'), JSON.stringify(owner))
  return true
}

/** null: its maker has not come to writing it, or it has just gone. @param {string} path @returns {Owner | null} */
function ownerOf(path) {
  try {
    return JSON.parse(readFileSync(join(path, 'owner.json'), 'utf8'))
  } catch (error) {
    const code = /** @type {NodeJS.ErrnoException} */ (error).code
    if (code === 'ENOENT' || isSyntaxError(error)) return null
    throw error
  }
}

/** @param {string} path @param {Owner | null} owner */
function isStale(path, owner) {
  if (owner && owner.host === hostname() && !isAlive(owner.pid)) return true
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat !== undefined && Date.now() - stat.mtimeMs > SILENCE
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM'
  }
}

/** Two may find the same lock dead: only the one whose rename moved that very lock goes on. @param {string} path @param {Owner | null} dead */
function breakLock(path, dead) {
  const aside = `${path}.${randomUUID()}`
  try {
    renameSync(path, aside)
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return
    throw error
  }
  if (ownerOf(aside)?.token === dead?.token) rmSync(aside, { recursive: true, force: true })
  else renameSync(aside, path)
}

/** @param {string} path */
function touch(path) {
  const now = new Date()
  if (statSync(path, { throwIfNoEntry: false })) utimesSync(path, now, now)
}
