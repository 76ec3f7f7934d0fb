import { createHash } from 'node:crypto'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { arch, release } from 'node:os'

/** What a processor can do that libtorch has kernels for; null where that can't be told. */
export interface CpuFeatures {
  readonly avx2: boolean | null
  readonly avx512: boolean | null
  /** Arithmetic in bfloat16. */
  readonly bf16: boolean | null
  /** Matrix tiles. */
  readonly amx: boolean | null
}

export interface Cpu {
  readonly model: string
  readonly features: CpuFeatures
}

const UNKNOWN: CpuFeatures = { avx2: null, avx512: null, bf16: null, amx: null }

/** The first processor. @param text of /proc/cpuinfo */
export function cpuOf(text: string = cpuInfo()): Cpu {
  const value = (name: string): string | undefined => new RegExp(`^${name}\\s*:(.*)$`, 'm').exec(text)?.[1]?.trim()
  const model = value('model name') ?? value('Processor') ?? 'unknown'
  const flags = value('flags') ?? value('Features')
  if (flags === undefined) return { model, features: UNKNOWN }
  const has = (...names: string[]) => names.some(name => ` ${flags} `.includes(` ${name} `))
  return {
    model,
    features: {
      avx2: has('avx2'),
      avx512: has('avx512f'),
      bf16: has('avx512_bf16', 'amx_bf16', 'avx_ne_convert', 'bf16'),
      amx: has('amx_tile'),
    },
  }
}

/** The head of /proc/cpuinfo: all of it takes long to ask for on a machine of many cores. */
function cpuInfo(): string {
  if (process.platform !== 'linux') return ''
  const bytes = Buffer.alloc(8192)
  try {
    const file = openSync('/proc/cpuinfo', 'r')
    try {
      return bytes.toString('latin1', 0, readSync(file, bytes, 0, bytes.length, 0))
    } finally {
      closeSync(file)
    }
  } catch {
    return '' // a sandbox without /proc
  }
}

/**
 * A name for what decides whether a binary runs here: the processor, the system, its C library and Node. Not the host's name,
 * which containers change at will.
 */
export function machineKey(): string {
  const { model, features } = cpuOf()
  const parts = [model, JSON.stringify(features), arch(), release(), glibcName(), process.version, process.execPath]
  return createHash('sha256').update(parts.join('\0')).digest('hex')
}

/** Which distribution, and with it which glibc, without the cost of Node's report. */
function glibcName(): string {
  try {
    return readFileSync('/etc/os-release', 'utf8')
  } catch {
    return ''
  }
}
