import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../provision/index.js'

/** What the package says of Node, `^20.19 || >=22.12`. */
export function supportedNode(): string {
  const manifest: { engines?: { node?: string } } = JSON.parse(
    readFileSync(join(packageRoot(), 'package.json'), 'utf8'),
  )
  return manifest.engines?.node ?? '*'
}

/** @param version `v20.11.1` @param range of `^a.b` and `>=a.b`, with `||` between */
export function isSupportedNode(version: string, range: string = supportedNode()): boolean {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  return range.split('||').some(part => {
    const [, sign, a, b = '0'] = /^\s*(\^|>=)\s*(\d+)(?:\.(\d+))?/.exec(part) ?? []
    if (sign === undefined) return part.trim() === '*'
    const isNewEnough = major > Number(a) || (major === Number(a) && minor >= Number(b))
    return isNewEnough && (sign === '>=' || major === Number(a))
  })
}
