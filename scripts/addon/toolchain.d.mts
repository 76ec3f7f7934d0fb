export function which(program: string, env?: NodeJS.ProcessEnv): string | null
export function missingTools(env?: NodeJS.ProcessEnv): string | null
export function codecAdvice(codecs: readonly string[], env?: NodeJS.ProcessEnv): string | null
export function parallelJobs(cpus: number, bytes: number): number
