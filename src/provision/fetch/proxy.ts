// The proxy variables, as curl and npm read them. Node 20 has nothing of its own for this.

const firstOf = (env: NodeJS.ProcessEnv, names: readonly string[]) =>
  names.map(name => env[name]).find(value => value) ?? ''

/** The proxy for a URL, or null to go straight there. */
export function proxyFor(url: URL, env: NodeJS.ProcessEnv = process.env): URL | null {
  const exceptions = firstOf(env, ['no_proxy', 'NO_PROXY', 'npm_config_noproxy'])
  if (isException(url, exceptions)) return null
  // HTTP_PROXY in capitals can be set by whoever sends a request to a CGI program; curl ignores it, so do we
  const names =
    url.protocol === 'https:'
      ? ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'npm_config_https_proxy', 'npm_config_proxy']
      : ['http_proxy', 'all_proxy', 'ALL_PROXY', 'npm_config_proxy']
  const proxy = firstOf(env, names)
  if (proxy === '') return null
  const parsed = new URL(/^[a-z\d]+:\/\//i.test(proxy) ? proxy : `http://${proxy}`)
  if (parsed.protocol === 'http:' || parsed.protocol === 'https:') return parsed
  throw new Error(`the proxy ${parsed.protocol}//${parsed.host} is not an http or https proxy`)
}

function isException(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase()
  const port = url.port || (url.protocol === 'https:' ? '443' : '80')
  return list
    .split(/[\s,]+/)
    .filter(Boolean)
    .some(entry => {
      if (entry === '*') return true
      const [, name = '', entryPort] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
      if (entryPort && entryPort !== port) return false
      const suffix = name.replace(/^\*?\./, '')
      return suffix !== '' && (host === suffix || host.endsWith(`.${suffix}`))
    })
}

/** Header for a proxy that wants a password. */
export function proxyAuthorization(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {}
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` }
}
