// @ts-check
// node scripts/fetch-libtorch.mjs: makes sure that libtorch is there and prints its folder, for CI and for other tools.
import { provision } from '../dist/provision/index.js'
import { fail } from './report.mjs'

try {
  console.log((await provision({ headers: true })).root)
} catch (error) {
  fail(error)
}
