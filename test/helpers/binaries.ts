// Copies of the addon and of libtorch for tests to spoil.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { type AddonFiles, type AddonStamp, locateAddon, locateLibtorch } from '../../dist/native/locate.js'
import { type Libtorch, recordFiles } from '../../dist/provision/index.js'
import { folderFor, packageCopy } from './package-copy.js'

export const built: AddonFiles = locateAddon()
export const libtorch: Libtorch = locateLibtorch(built.stamp)

const NAMES = ['torch_learner.node', 'torch_learner_preload.so']

/** An addon with what lies beside it. */
export interface AddonCopy {
  /** For TORCH_LEARNER_PREBUILD. */
  readonly root: string
  readonly addon: string
  readonly preload: string
  readonly stamp: string
  /** Writes the stamp anew, for the files as they are now. */
  restamp(changes?: Partial<AddonStamp>): void
}

/** A copy of what the build makes. Its stamp is that of a published binary: it doesn't say that it was built here. */
export function addonCopy(t: ExecutionContext, root: string = folderFor(t)): AddonCopy {
  const release = join(root, 'build', 'Release')
  mkdirSync(release, { recursive: true })
  const [addon, preload, stamp] = [...NAMES, 'torch_learner.json'].map(name => join(release, name)) as [
    string,
    string,
    string,
  ]
  copyFileSync(built.addon, addon)
  copyFileSync(built.preload, preload)
  const restamp = (changes: Partial<AddonStamp> = {}) => {
    const all = { ...built.stamp, root: null, files: recordFiles(release, NAMES), ...changes }
    writeFileSync(stamp, JSON.stringify(all))
  }
  restamp()
  return { root, addon, preload, stamp, restamp }
}

/** The whole package as it is installed, with an addon in its own folder. */
export function installedCopy(t: ExecutionContext): AddonCopy & { readonly index: string } {
  const root = packageCopy(t, 'installed')
  return { ...addonCopy(t, root), index: join(root, 'dist', 'index.js') }
}

/** A libtorch of links to the real libraries; `copied` is a copy, to be changed. With the stamp of a download, about that file. */
export function libtorchCopy(t: ExecutionContext, copied: string, root = folderFor(t)): { root: string; file: string } {
  const lib = join(root, 'lib')
  mkdirSync(lib, { recursive: true })
  for (const name of readdirSync(libtorch.lib)) {
    if (name === copied) copyFileSync(join(libtorch.lib, name), join(lib, name))
    else symlinkSync(join(libtorch.lib, name), join(lib, name))
  }
  const name = `lib/${copied}`
  const { size, sha256 } = recordFiles(root, [name])[name] ?? {}
  const stamp = { version: libtorch.version, files: { [name]: size }, sha256: { [name]: sha256 } }
  writeFileSync(join(root, 'torch-learner.json'), JSON.stringify(stamp))
  return { root, file: join(lib, copied) }
}

/** Changes one byte in the middle of a file. */
export function flipByte(file: string): void {
  const bytes = readFileSync(file)
  const middle = bytes.length >> 1
  bytes[middle] = (bytes[middle] ?? 0) ^ 0xff
  writeFileSync(file, bytes)
}

/** Puts machine code where a library's function begins. */
export function overwriteFunction(file: string, name: string, code: readonly number[]): void {
  const bytes = readFileSync(file)
  bytes.set(code, offsetOf(bytes, name))
  writeFileSync(file, bytes)
}

/** Where a symbol of a 64-bit ELF library is in its file. */
function offsetOf(bytes: Buffer, name: string): number {
  const at = (offset: number) => Number(bytes.readBigUInt64LE(offset))
  const sections = Array.from({ length: bytes.readUInt16LE(60) }, (_, i) => at(40) + i * 64)
  const symbols = sections.find(section => bytes.readUInt32LE(section + 4) === 11)
  if (symbols === undefined) throw new Error('no dynamic symbols')
  const names = at((sections[bytes.readUInt32LE(symbols + 40)] ?? 0) + 24)
  for (let symbol = at(symbols + 24); symbol < at(symbols + 24) + at(symbols + 32); symbol += 24) {
    const start = names + bytes.readUInt32LE(symbol)
    if (bytes.toString('latin1', start, start + name.length + 1) !== `${name}\0`) continue
    const address = at(symbol + 8)
    for (let i = 0; i < bytes.readUInt16LE(56); i++) {
      const segment = at(32) + i * 56
      const inside = address - at(segment + 16)
      if (bytes.readUInt32LE(segment) === 1 && inside >= 0 && inside < at(segment + 32)) return at(segment + 8) + inside
    }
  }
  throw new Error(`no ${name}`)
}
