/** A libtorch on disk. */
export interface Libtorch {
  ok: true
  root: string
  lib: string
  /** null: libraries only, good for running and not for building */
  include: string | null
  /** as the folder says it, `2.13.0+cpu` */
  version: string
  cuda: boolean
}

export type Inspection = Libtorch | { ok: false; reason: string }

/** A place that was looked at, and why it didn't serve. */
export interface Step {
  step: string
  reason: string
}

export interface FindOptions {
  env?: NodeJS.ProcessEnv
  /** exactly this release, `2.13.0`; a `+cpu` after it doesn't count */
  version?: string | undefined
  /** must have the CUDA libraries */
  cuda?: boolean | undefined
  /** must have headers to build with */
  headers?: boolean | undefined
  /** a last place to look: where the addon's build found it */
  builtWith?: string | null | undefined
}

export interface Found {
  libtorch: Libtorch | null
  /** LIBTORCH is set: no other place was looked at */
  explicit: boolean
  /** one was there in another version */
  mismatch: boolean
  steps: Step[]
}

export const STAMP: string
export function cacheFolder(env?: NodeJS.ProcessEnv): string
export function cachedLibtorch(env?: NodeJS.ProcessEnv): string
export function inspect(root: string, options?: { stamped?: boolean }): Inspection
export function findLibtorch(options?: FindOptions): Found
