// Packages that were left out (`--omit=optional`) are named by whoever needs them.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { runNode } from './helpers/child.js'
import { folderFor } from './helpers/package-copy.js'
import { picture } from './helpers/pictures.js'

const png = new URL('../dist/plot/png.js', import.meta.url).href
const decode = new URL('../dist/vision/decode/sharp.js', import.meta.url).href

/** Node's answer for a package that isn't installed, for requires and for imports of `name`. */
function without(t: ExecutionContext, name: string, error = ''): string[] {
  const folder = folderFor(t)
  const file = join(folder, 'without.cjs')
  writeFileSync(
    file,
    `const { register, Module } = require('node:module')
    const hooks = \`export async function resolve(specifier, context, next) {
      if (specifier === ${JSON.stringify(name)} || specifier.startsWith(${JSON.stringify(`${name}/`)})) {
        throw Object.assign(new Error("Cannot find package '" + specifier + "' imported from " + context.parentURL), { code: 'ERR_MODULE_NOT_FOUND' })
      }
      return next(specifier, context)
    }\`
    register('data:text/javascript,' + encodeURIComponent(hooks))
    const { _resolveFilename } = Module
    Module._resolveFilename = function (request, ...rest) {
      if (request === ${JSON.stringify(name)} || request.startsWith(${JSON.stringify(`${name}/`)})) {
        throw Object.assign(new Error(${JSON.stringify(error)} || "Cannot find module '" + request + "'"), ${error === '' ? "{ code: 'MODULE_NOT_FOUND' }" : '{}'})
      }
      return _resolveFilename.call(this, request, ...rest)
    }`,
  )
  return ['--require', file]
}

const DRAW = `import { renderPng } from ${JSON.stringify(png)}
renderPng('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><text y="8">a</text></svg>').then(
  bytes => console.log(bytes.length), error => console.log(error.code + ': ' + error.message))`

async function draw(t: ExecutionContext, flags: string[]): Promise<string> {
  const ended = await runNode([...flags, '--input-type=module', '-e', DRAW])
  t.is(ended.code, 0, ended.stderr)
  return ended.stdout.trim()
}

for (const name of ['@resvg/resvg-js', 'sharp', 'dejavu-fonts-ttf']) {
  test(`PNG figures without ${name}`, async t => {
    t.is(
      await draw(t, without(t, name)),
      `ERR_PACKAGE_MISSING: The package ${name}, which is needed to draw PNG figures, is not installed. Run \`npm install ${name}\``,
    )
  })
}

const runtime = `${process.platform}-${process.arch}`
const linux = runtime === 'linux-x64' ? test : test.skip
for (const [name, of] of [
  ['@resvg/resvg-js-linux-x64-gnu', '@resvg/resvg-js'],
  ['@img/sharp-linux-x64', 'sharp'],
] as const) {
  linux(`PNG figures without the optional ${name}`, async t => {
    t.is(
      await draw(t, [...without(t, name), ...(of === 'sharp' ? without(t, '@img/sharp-wasm32') : [])]),
      `ERR_PACKAGE_MISSING: The package ${name}, which is needed to draw PNG figures, is not installed. It is an optional ` +
        `dependency of ${of}: install those too (\`npm install --include=optional\`, without --omit=optional or --no-optional), ` +
        `or run \`npm install ${name}\``,
    )
  })
}

linux('what is installed and would not load is not called missing', async t => {
  const answer = await draw(t, without(t, '@resvg/resvg-js-linux-x64-gnu', 'libm.so.6: version GLIBC_2.99 not found'))
  t.regex(
    answer,
    /^ERR_PACKAGE_MISSING: The package @resvg\/resvg-js, .*, is installed and would not load: libm\.so\.6: version/,
  )
})

test('PNG figures with everything', async t => {
  t.regex(await draw(t, []), /^\d+$/)
})

test('pictures of a format that only sharp decodes, without sharp', async t => {
  const file = join(folderFor(t), 'a.webp')
  await picture(9, 9).webp().toFile(file)
  const program = `import { sizeBySharp } from ${JSON.stringify(decode)}
    sizeBySharp(${JSON.stringify(file)}).then(size => console.log(size), error => console.log(error.code + ': ' + error.message))`
  const ended = await runNode([...without(t, 'sharp'), '--input-type=module', '-e', program])
  t.regex(
    ended.stdout,
    /^ERR_PACKAGE_MISSING: The package sharp, which is needed to decode this picture, is not installed\. Run `npm install sharp`/,
  )
})
