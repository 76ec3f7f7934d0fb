import { spawn } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'
import { builtAddon } from '../../src/provision/index.js'
import { type Outcome, outcomeOf } from './child.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A folder that goes with the test. */
export function folderFor(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'torch-learner-package-'))
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** The package without an addon: as a checkout has it, or as it is installed. Gives its folder. */
export function packageCopy(t: ExecutionContext, kind: 'checkout' | 'installed'): string {
  const project = folderFor(t)
  const folder = join(project, 'node_modules', 'torch-learner')
  const names = ['dist', 'binding', 'package.json', 'CMakeLists.txt']
  if (kind === 'checkout') names.push('scripts', 'tsconfig.json')
  for (const name of names) cpSync(join(root, name), join(folder, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

/** Puts a folder there that looks like a prebuilt addon, until it is loaded. @param real it is one, too */
export function fakeAddon(folder: string, stamp: Record<string, unknown>, real = false): void {
  mkdirSync(folder, { recursive: true })
  for (const name of ['torch_learner.node', 'torch_learner_preload.so']) {
    if (real) copyFileSync(join(dirname(builtAddon()), name), join(folder, name))
    else writeFileSync(join(folder, name), 'no library')
  }
  const facts = { libtorch: '2.13.0', root: null, cuda: false, codecs: ['bmp', 'png', 'jpeg'], sources: '', ...stamp }
  writeFileSync(join(folder, 'torch_learner.json'), JSON.stringify(facts))
}

/** Runs Node in an environment with nothing in it but `env`: no compiler, no python, no LIBTORCH; and in a folder without packages. */
export async function runBare(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const child = spawn(process.execPath, args, {
    cwd: tmpdir(),
    env: { PATH: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return await outcomeOf(child, 300)
}
