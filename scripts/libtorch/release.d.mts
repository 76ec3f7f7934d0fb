export const VERSION: string
export const SUPPORTED: RegExp
export const PLATFORM_PACKAGE: string
export const PLATFORM: string
export const WHEEL: { file: string; url: string; sha256: string }
export const REQUIRED_LIBRARIES: string[]
/** `2.13.0+cpu` -> `2.13.0` */
export function baseVersion(version: string): string
