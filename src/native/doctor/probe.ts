import { readFileSync, statfsSync } from 'node:fs'
import { packageRoot, processLibc } from '../../provision/index.js'
import { type Cpu, cpuOf } from '../machine.js'

/** What the machine is asked; tests answer in its stead. */
export interface Probe {
  /** `v20.11.1` */
  nodeVersion: string
  libc(): 'glibc' | 'musl' | null
  /** Null on another C library. */
  glibcVersion(): string | null
  cpu(): Cpu
  /** Bytes that this user can still write to the file system of a folder that exists; null where that can't be told. */
  freeBytes(folder: string): number | null
  /** The version of NVIDIA's driver, or null without one. */
  driver(): string | null
  /** Where the program is that would use the package. */
  cwd(): string
}

export const machine: Probe = {
  nodeVersion: process.version,
  libc: () => processLibc(),
  glibcVersion: () => {
    const report: { header?: { glibcVersionRuntime?: string } } = process.report.getReport()
    return report.header?.glibcVersionRuntime ?? null
  },
  cpu: () => cpuOf(),
  freeBytes: folder => {
    try {
      const { bavail, bsize } = statfsSync(folder)
      return bavail * bsize
    } catch {
      return null
    }
  },
  driver: () => {
    try {
      const text = readFileSync('/proc/driver/nvidia/version', 'utf8')
      return /Kernel Module\s+(?:for \S+\s+)?([\d.]+)/.exec(text)?.[1] ?? 'of unknown version'
    } catch {
      return null
    }
  },
  cwd: () => {
    try {
      return process.cwd()
    } catch {
      return packageRoot() // the folder has been removed
    }
  },
}
