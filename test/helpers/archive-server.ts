import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { certificate, key } from './certificate.js'
import { zip } from './zip.js'

const version = (text: string) => `#define TORCH_VERSION \\\n  "${text}"\n`

/** Looks like the official wheel, or like the libtorch zip, to everything but ld.so. */
export function fakeArchive(
  options: { version?: string; layout?: 'torch' | 'libtorch'; padding?: number } = {},
): Buffer {
  const top = options.layout ?? 'torch'
  return zip({
    [`${top}/lib/libc10.so`]: 'c10',
    [`${top}/lib/libtorch_cpu.so`]: Buffer.alloc(options.padding ?? 64, 'cpu'),
    [`${top}/lib/libgomp.so.1`]: 'gomp',
    [`${top}/lib/libtorch_python.so`]: 'not wanted',
    [`${top}/include/ATen/ATen.h`]: '#pragma once\n',
    [`${top}/include/torch/headeronly/version.h`]: version(options.version ?? '2.13.0'),
    [`${top}/nn/modules.py`]: 'not wanted either',
    'torch-2.13.0+cpu.dist-info/licenses/LICENSE': 'BSD',
  })
}

export const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex')

/** A request as the server saw it. */
export interface Seen {
  method: string
  url: string
  headers: IncomingMessage['headers']
}

export interface ServerOptions {
  /** cut the line after so many bytes, for the first `cuts` requests */
  cutAfter?: number
  cuts?: number
  /** fall silent there instead of cutting */
  stall?: boolean
  /** answer with this status and nothing else */
  status?: number
  /** don't understand Range */
  noRange?: boolean
  /** don't say how long the file is */
  noLength?: boolean
  /** ms before the answer */
  delay?: number
  /** name the version of the file by its date instead of an ETag */
  modified?: string
}

export interface TestServer extends AsyncDisposable {
  url: string
  seen: Seen[]
}

/** Serves `archive` under every path, with ranges as a static file server does it. */
export async function serveArchive(archive: Buffer | (() => Buffer), options: ServerOptions = {}): Promise<TestServer> {
  const seen: Seen[] = []
  const server = createServer(async (request, response) => {
    note(seen, request)
    if (options.delay) await new Promise(resolve => setTimeout(resolve, options.delay))
    if (options.status) return void response.writeHead(options.status).end()
    answer(typeof archive === 'function' ? archive() : archive, request, response, options, seen.length)
  })
  return { ...(await start(server)), seen }
}

const tagOf = (archive: Buffer) => `"${sha256(archive).slice(0, 8)}"`

function answer(
  archive: Buffer,
  request: IncomingMessage,
  response: ServerResponse,
  options: ServerOptions,
  nth: number,
) {
  const version = request.headers['if-range']
  const changed = version !== undefined && version !== (options.modified ?? tagOf(archive))
  const from = options.noRange || changed ? 0 : Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
  if (from >= archive.length) {
    response.writeHead(416, { 'content-range': `bytes */${archive.length}` }).end()
    return
  }
  const body = archive.subarray(from)
  const range = { 'content-range': `bytes ${from}-${archive.length - 1}/${archive.length}` }
  const headers = {
    ...(options.noLength ? {} : { 'content-length': body.length }),
    ...(options.modified ? { 'last-modified': options.modified } : { etag: tagOf(archive) }),
    ...(from > 0 ? range : {}),
  }
  response.writeHead(from > 0 ? 206 : 200, headers)
  if (options.cutAfter !== undefined && nth <= (options.cuts ?? 1)) {
    // long enough for a busy machine: what has not been read when the line breaks is lost, and asked for again
    const cut = () => setTimeout(() => response.destroy(), 500)
    response.flushHeaders()
    if (options.cutAfter === 0) cut()
    else response.write(body.subarray(0, options.cutAfter), options.stall ? undefined : cut)
  } else {
    response.end(body)
  }
}

/** The same over TLS, as `files.example`, for whoever trusts the certificate. */
export async function serveArchiveSecurely(archive: Buffer): Promise<TestServer> {
  const seen: Seen[] = []
  const server = createSecureServer({ key, cert: certificate }, (request, response) => {
    note(seen, request)
    answer(archive, request, response, {}, seen.length)
  })
  return { ...(await start(server)), seen }
}

/**
 * A forward proxy: passes plain requests on to `target`, opens tunnels to `secureTarget` (without one it refuses them
 * with 502), and notes both.
 */
export async function serveProxy(target: string, secureTarget?: string): Promise<TestServer> {
  const seen: Seen[] = []
  const forward: RequestListener = async (request, response) => {
    note(seen, request)
    const reply = await fetch(new URL(new URL(request.url ?? '').pathname, target))
    response.writeHead(reply.status, { 'content-length': reply.headers.get('content-length') ?? '' })
    response.end(Buffer.from(await reply.arrayBuffer()))
  }
  const server = createServer(forward)
  server.on('connect', (request, socket) => {
    note(seen, request)
    if (!secureTarget) return void socket.end('HTTP/1.1 502 No Tunnel\r\n\r\n')
    const through = connect(Number(new URL(secureTarget).port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(through).pipe(socket)
    })
    through.on('error', () => socket.destroy())
  })
  return { ...(await start(server)), seen }
}

function note(seen: Seen[], request: IncomingMessage): void {
  seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers })
}

async function start(server: Server): Promise<Omit<TestServer, 'seen'>> {
  // closeAllConnections() leaves tunnels open
  const sockets = new Set<Socket>()
  server.on('connection', socket => {
    sockets.add(socket.on('error', () => socket.destroy()).once('close', () => sockets.delete(socket)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stop = async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  }
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: stop }
}
