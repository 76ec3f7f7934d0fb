// @ts-check
// A registry for the drill on 127.0.0.1: our packages are the tarballs in npm/, all others come from the registry that npm is
// set up with, once, and are kept in build/drill/registry. Package managers see nothing but this.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'
import { OUT, ROOT } from '../pack/files.mjs'

const KEPT = join(ROOT, 'build', 'drill', 'registry')

/** Package managers that wait some days before they trust a release find all of ours old enough. */
const RELEASED = '2026-01-01T00:00:00.000Z'

const ABBREVIATED = 'application/vnd.npm.install-v1+json'

/** @param {string} file @param {string} algorithm @param {'hex' | 'base64'} encoding */
const hash = (file, algorithm, encoding) => createHash(algorithm).update(readFileSync(file)).digest(encoding)

/** Of each of our packages: what a registry says of it. @param {string} base */
function ownPackages(base) {
  /** @type {Map<string, object>} */
  const found = new Map()
  for (const file of readdirSync(OUT).filter(name => name.endsWith('.tgz'))) {
    const tarball = join(OUT, file)
    const manifest = JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }))
    const { name, version } = manifest
    const dist = {
      tarball: `${base}/${name}/-/${file}`,
      integrity: `sha512-${hash(tarball, 'sha512', 'base64')}`,
      shasum: hash(tarball, 'sha1', 'hex'),
    }
    found.set(name, {
      name,
      'dist-tags': { latest: version },
      versions: { [version]: { ...manifest, _id: `${name}@${version}`, dist } },
      time: { created: RELEASED, modified: RELEASED, [version]: RELEASED },
      modified: RELEASED,
    })
  }
  return found
}

/** The registry that npm is set up with here. */
const upstream = () =>
  execFileSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).trim().replace(/\/$/, '')

/** The file in which an answer is kept; fetched when it isn't there. @param {string} url @param {string} accept */
async function kept(url, accept) {
  const file = join(KEPT, createHash('sha256').update(`${url}\n${accept}`).digest('hex'))
  if (existsSync(file)) return file
  const answer = await fetch(url, { headers: { accept } })
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
  const partial = `${file}.${process.pid}-${performance.now()}`
  writeFileSync(partial, Buffer.from(await answer.arrayBuffer()))
  renameSync(partial, file)
  return file
}

/** @returns {Promise<{ url: string, close: () => void }>} */
export async function startRegistry() {
  mkdirSync(KEPT, { recursive: true })
  const origin = upstream()
  const server = createServer((request, response) => {
    answer(request, response).catch(error => {
      response.writeHead(404, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: String(error) }))
    })
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const base = `http://127.0.0.1:${port}`
  const own = ownPackages(base)

  /** @param {import('node:http').IncomingMessage} request @param {import('node:http').ServerResponse} response */
  async function answer(request, response) {
    const path = decodeURIComponent(new URL(request.url ?? '/', base).pathname).slice(1)
    if (request.method !== 'GET' || path.startsWith('-/')) throw new Error(`no ${request.method} ${path} here`)
    if (path.endsWith('.tgz')) {
      const ours = join(OUT, basename(path))
      const file = own.has(path.split('/-/')[0] ?? '') ? ours : await kept(`${origin}/${path}`, '*/*')
      response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': statSync(file).size })
      createReadStream(file).pipe(response)
      return
    }
    const short = request.headers.accept?.includes(ABBREVIATED) === true
    const accept = short ? ABBREVIATED : 'application/json'
    const ours = own.get(path)
    const text = ours
      ? JSON.stringify(ours)
      : readFileSync(await kept(`${origin}/${path.replace('/', '%2f')}`, accept), 'utf8').replaceAll(
          `"${origin}/`,
          `"${base}/`,
        )
    response.writeHead(200, { 'content-type': accept })
    response.end(text)
  }

  return {
    url: base,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
