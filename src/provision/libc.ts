import { readFileSync } from 'node:fs'
import { failure } from '../check/index.js'

/** Which C library this process runs on: null where there is no telling or no choice. */
export function processLibc(files: readonly string[] = mappedFiles()): 'glibc' | 'musl' | null {
  if (files.some(path => /\/(?:ld-musl-|libc\.musl-)[^/]*$/.test(path))) return 'musl'
  return files.some(path => /\/libc(?:-[\d.]+)?\.so[^/]*$/.test(path)) ? 'glibc' : null
}

/**
 * libtorch is made for glibc; where Node runs on musl neither it nor an addon loads, however they were come by.
 *
 * @throws TorchLearnerError `ERR_LIBC`
 */
export function refuseMusl(libc: 'glibc' | 'musl' | null = processLibc()): void {
  if (libc !== 'musl') return
  throw failure(
    'ERR_LIBC',
    'This Node runs on musl, the C library of Alpine Linux, and libtorch is made for glibc',
    'Use an image or a system with glibc, such as Debian: `node:22-bookworm-slim` instead of `node:22-alpine`',
  )
}

/** Paths of what is mapped into memory. Linux has a list at hand; elsewhere Node's report has one, at some milliseconds. */
export function mappedFiles(): string[] {
  if (process.platform !== 'linux') return reportedLibraries()
  try {
    return readFileSync('/proc/self/maps', 'utf8').match(/\/.*$/gm) ?? []
  } catch {
    return reportedLibraries() // a sandbox without /proc
  }
}

function reportedLibraries(): string[] {
  const report: unknown = process.report.getReport()
  if (typeof report !== 'object' || report === null || !('sharedObjects' in report)) return []
  const { sharedObjects } = report
  return Array.isArray(sharedObjects) ? sharedObjects.map(path => String(path).replaceAll('\\', '/')) : []
}
