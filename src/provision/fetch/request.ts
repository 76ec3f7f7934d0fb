// One GET that follows redirects, goes through a proxy where one is set, and never waits for ever.
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import { isError } from '../../check/index.js'
import { proxyAuthorization, proxyFor } from './proxy.js'
import { shown } from './shown.js'

const MAX_REDIRECTS = 5

/** How long a server may keep us waiting. */
export interface RequestOptions {
  readonly headers?: Record<string, string>
  /** Milliseconds until the response's headers are there. Default 10,000. */
  readonly connectTimeout?: number
  /** Milliseconds without a byte after them. Default 30,000. */
  readonly idleTimeout?: number
}

/**
 * @param url http: or https:
 * @returns the response, of status 200, 206 or 416
 */
export async function get(url: URL, options: RequestOptions = {}): Promise<http.IncomingMessage> {
  let target = url
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await getOnce(target, options)
    const { statusCode = 0, headers } = response
    if ([200, 206, 416].includes(statusCode)) return response
    response.resume()
    if (statusCode < 300 || statusCode >= 400 || !headers.location) {
      throw new Error(`${shown(target)} answered ${statusCode} ${response.statusMessage ?? ''}`.trim())
    }
    const next = new URL(headers.location, target)
    if (target.protocol === 'https:' && next.protocol !== 'https:') {
      throw new Error(`${shown(target)} redirects to ${next.protocol}//, which is not safe`)
    }
    target = next
  }
  throw new Error(`${shown(url)} redirects more than ${MAX_REDIRECTS} times`)
}

async function getOnce(
  url: URL,
  { headers = {}, connectTimeout = 10_000, idleTimeout = 30_000 }: RequestOptions,
): Promise<http.IncomingMessage> {
  const proxy = proxyFor(url)
  const deadline = AbortSignal.timeout(connectTimeout)
  const where = proxy ? `${url.host} through the proxy ${proxy.host}` : url.host
  try {
    const request =
      url.protocol === 'https:'
        ? await httpsRequest(url, proxy, headers, deadline)
        : httpRequest(url, proxy, headers, deadline)
    const response = await responseOf(request, deadline)
    response.setTimeout(idleTimeout, () => response.destroy(new Error(`no data for ${idleTimeout / 1000} s`)))
    return response
  } catch (error) {
    if (deadline.aborted) throw new Error(`${where} did not answer within ${connectTimeout / 1000} s`, { cause: error })
    throw new Error(`can't reach ${where}: ${errorText(error)}`, { cause: error })
  }
}

type Headers = Record<string, string>

function httpRequest(url: URL, proxy: URL | null, headers: Headers, deadline: AbortSignal) {
  if (!proxy) return track(http.get(url, { headers, agent: false }), deadline)
  const client = proxy.protocol === 'https:' ? https : http
  const through = { ...headers, ...proxyAuthorization(proxy), host: url.host }
  return track(client.get(proxy, { path: url.href, headers: through, agent: false }), deadline)
}

async function httpsRequest(url: URL, proxy: URL | null, headers: Headers, deadline: AbortSignal) {
  const ca = extraAuthorities()
  if (!proxy) return track(https.get(url, { headers, ca, agent: false }), deadline)
  const tunnel = await connectThrough(url, proxy, deadline)
  const servername = url.hostname.replace(/^\[|\]$/g, '')
  const secure = tls.connect({ socket: tunnel, servername, ca })
  // Without `agent`, since one of any kind would open a connection of its own; and then the port of the Host header is
  // taken for 80
  const through = { ...headers, host: url.host }
  return track(https.get(url, { headers: through, createConnection: () => secure }), deadline)
}

function connectThrough(url: URL, proxy: URL, deadline: AbortSignal): Promise<Socket> {
  const client = proxy.protocol === 'https:' ? https : http
  const authority = `${url.hostname}:${url.port || 443}`
  const headers = { host: authority, ...proxyAuthorization(proxy) }
  const request = track(client.request(proxy, { method: 'CONNECT', path: authority, headers, agent: false }), deadline)
  return new Promise((resolve, reject) => {
    request.once('error', reject)
    request.once('connect', (response, socket) => {
      if (response.statusCode === 200) return resolve(socket)
      socket.destroy()
      reject(new Error(`the proxy answered ${response.statusCode} ${response.statusMessage ?? ''}`.trim()))
    })
    request.end()
  })
}

/** The deadline ends the request, whatever it is waiting for. */
function track<T extends http.ClientRequest>(request: T, deadline: AbortSignal): T {
  const stop = () => request.destroy(new Error('timed out'))
  deadline.addEventListener('abort', stop, { once: true })
  for (const event of ['response', 'connect', 'close']) {
    request.once(event, () => deadline.removeEventListener('abort', stop))
  }
  return request
}

function responseOf(request: http.ClientRequest, deadline: AbortSignal): Promise<http.IncomingMessage> {
  deadline.throwIfAborted()
  return new Promise((resolve, reject) => request.once('response', resolve).once('error', reject))
}

/** npm's `cafile`, for networks with an authority of their own. */
function extraAuthorities(): string[] | undefined {
  const file = process.env.npm_config_cafile
  return file ? [...tls.rootCertificates, readFileSync(file, 'utf8')] : undefined
}

/** Node wraps failed attempts on several addresses without a message of its own. */
function errorText(error: unknown): string {
  if (!isError(error)) return String(error)
  if ('errors' in error && Array.isArray(error.errors)) return error.errors.map(errorText).join(', ')
  return error.message || error.name
}
