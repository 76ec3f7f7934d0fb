// Run by itself: node fetch-file.js URL FILE SHA256 (or its first digits) TITLE VARIABLE. For who can only wait by blocking.
import { messageOf } from '../../check/index.js'
import { fetchFile } from '../fetch/fetch-file.js'

const [, , url = '', file = '', expected = '', title, variable] = process.argv
try {
  await fetchFile(url, file, expected, { title, variable })
} catch (error) {
  process.stdout.write(messageOf(error))
  process.exitCode = 1
}
