/**
 * libgomp's threads spin between parallel regions. That is fast on a quiet machine and ruinous on a busy one: the
 * spinning thread holds the core which the thread it waits for needs. A short spin keeps the speed and avoids the
 * blocking (figures: bench/README.md). libgomp reads its environment once, when it is opened.
 */
const DEFAULTS: readonly [name: string, value: string][] = [['GOMP_SPINCOUNT', '1000']]

/** If the user has set one of these, waiting is the user's business. */
const USER_CHOICES = ['OMP_WAIT_POLICY', 'GOMP_SPINCOUNT']

/** The part of the preload module that reaches the process's real environment. */
export interface Environment {
  setDefaultEnv(name: string, value: string): boolean
  unsetEnv(name: string): void
}

/** What is set while libgomp is opened: nothing where the user has set something. */
export function openMpDefaults(): readonly (readonly [name: string, value: string])[] {
  return USER_CHOICES.some(name => process.env[name] !== undefined) ? [] : DEFAULTS
}

/**
 * Runs `open`, which opens libgomp, with our waiting policy in the environment. It is taken out again at once, so that
 * child processes don't inherit it.
 */
export function withOpenMpDefaults(environment: Environment, open: () => void): void {
  const set = openMpDefaults().filter(([name, value]) => environment.setDefaultEnv(name, value))
  try {
    open()
  } finally {
    for (const [name] of set) environment.unsetEnv(name)
  }
}
