// What is published: manifests, contents, and the checks that stand before a release.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { baseVersion } from '../dist/provision/index.js'
import { compareLosses, table } from '../scripts/drill/table.mjs'
import { filesIn, ROOT } from '../scripts/pack/files.mjs'
import { stageMain } from '../scripts/pack/main.mjs'
import { addonManifest, libtorchManifest, mainManifest } from '../scripts/pack/manifests.mjs'
import { checkChangelog } from '../scripts/release/changelog.mjs'

test('a package of libtorch is of the libtorch that it packs, whichever packing it is', t => {
  t.deepEqual(['2.13.0', '2.13.0+cpu', '2.13.0-1', '2.13.0-12', '2.14.1+cu130'].map(baseVersion), [
    '2.13.0',
    '2.13.0',
    '2.13.0',
    '2.13.0',
    '2.14.1',
  ])
})

test('the main manifest asks for nothing that only a checkout needs, and for binaries exactly', t => {
  const manifest = mainManifest({ '@torch-learner/linux-x64': '0.1.0' })
  t.false('scripts' in manifest)
  t.false('devDependencies' in manifest)
  for (const tool of ['cmake-js', 'node-addon-api', 'prebuildify']) t.false(tool in manifest.dependencies, tool)
  t.deepEqual(manifest.optionalDependencies, { '@torch-learner/linux-x64': '0.1.0' })
})

test('the manifests of binaries say for whom they are, and keep out of zip files', t => {
  for (const manifest of [addonManifest(['a']), libtorchManifest('2.13.0', ['lib'])]) {
    t.deepEqual([manifest.os, manifest.cpu], [[process.platform], [process.arch]])
    t.deepEqual(manifest.libc, process.platform === 'linux' ? ['glibc'] : undefined)
    t.true(manifest.preferUnplugged)
  }
  t.regex(libtorchManifest('2.13.0', []).version, /^2\.13\.0-\d+$/)
})

test.serial('the main package has no source maps, no binaries, and nothing that makes npm compile', async t => {
  const folder = await stageMain({})
  const files = filesIn(folder)
  t.deepEqual(
    files.filter(name => /\.(map|gyp|node|so)$/.test(name)),
    [],
  )
  for (const name of files.filter(file => file.endsWith('.js'))) {
    t.notRegex(readFileSync(join(folder, name), 'utf8'), /^\/\/# sourceMappingURL=/m, name)
  }
  for (const name of [
    'dist/index.d.ts',
    'dist/cli/main.js',
    'CMakeLists.txt',
    'binding/core/addon.cc',
    'CHANGELOG.md',
  ]) {
    t.true(existsSync(join(folder, name)), name)
  }
})

test('a checkout is not packed by accident: one sentence names the command', t => {
  const outcome = spawnSync('npm', ['pack', '--dry-run'], { cwd: ROOT, encoding: 'utf8' })
  t.not(outcome.status, 0)
  t.regex(outcome.stderr, /^torch-learner: this checkout is not what is published: run `npm run pack:all`/m)
})

test('a release has something to tell', t => {
  t.deepEqual(checkChangelog('1.0.0', '# Changelog\n\n## Unreleased\n\n- New.\n'), [])
  t.deepEqual(checkChangelog('1.0.0', '# Changelog\n\n## 1.0.0 (today)\n\n- New.\n'), [])
  t.regex(
    checkChangelog('1.0.0', '# Changelog\n\n## Unreleased\n\n## 0.9.0\n\n- Old.\n').join(),
    /"Unreleased" says nothing/,
  )
  t.regex(
    checkChangelog('1.0.0', '# Changelog\n\n## 0.9.0\n\n- Old.\n').join(),
    /neither a section "Unreleased" nor one of 1\.0\.0/,
  )
})

test("the drill compares losses: another one than the first's is a failure, however well the program ended", t => {
  const row = (name: string, loss: number | null) => ({ name, loss, error: null as string | null })
  const rows = [row('first', 1.5), row('workers', null), row('same', 1.5), row('other', 1.6)]
  compareLosses(rows)
  t.deepEqual(
    rows.map(({ error }) => error),
    [null, null, null, 'its loss is 1.6, that of first 1.5'],
  )
  t.regex(table(rows), /^other .* FAILED$/m)
})
