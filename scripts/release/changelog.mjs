// @ts-check
// The CHANGELOG is written by hand, a line with the change that it tells of. Before a release its heading `## Unreleased` becomes
// the version.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../pack/files.mjs'

/**
 * What is wrong with it, as sentences.
 * @param {string} version that is to be released
 * @param {string} [text]
 * @returns {string[]}
 */
export function checkChangelog(version, text = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8')) {
  const [, ...sections] = text.split(/^## /m)
  const section =
    sections.find(part => part.startsWith('Unreleased')) ?? sections.find(part => part.startsWith(version))
  if (!section) return [`CHANGELOG.md has neither a section "Unreleased" nor one of ${version}`]
  const [heading = '', ...lines] = section.split('\n')
  if (!lines.some(line => line.startsWith('- '))) return [`CHANGELOG.md's section "${heading.trim()}" says nothing`]
  return []
}
