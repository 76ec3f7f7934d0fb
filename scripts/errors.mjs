// @ts-check
// What was thrown, whatever realm its class is of: under Jest Node's own errors are of another one than this code, so
// that `instanceof` doesn't know them.
import { types } from 'node:util'

/** @param {unknown} error @returns {error is Error} */
export function isError(error) {
  return types.isNativeError(error)
}

/** @param {unknown} error @returns {string} */
export function messageOf(error) {
  return isError(error) ? error.message : String(error)
}

/** JSON that isn't. @param {unknown} error */
export function isSyntaxError(error) {
  return isError(error) && error.name === 'SyntaxError'
}
