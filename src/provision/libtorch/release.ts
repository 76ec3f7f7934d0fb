// Which libtorch this package is made for, and where the official one comes from.

/** The release that is fetched; golden files and generated typings belong to it. */
export const VERSION = '2.13.0'

/** Releases that the addon's sources compile against: an own libtorch (LIBTORCH) may be any of these. */
export const SUPPORTED = /^2\.1[34]\.\d+$/

/** npm package with the run-time libraries; optional, npm skips it where it doesn't fit. */
export const PLATFORM_PACKAGE = `@torch-learner/libtorch-cpu-${process.platform}-${process.arch}`

/** Platform of the archive below. */
export const PLATFORM = 'linux-x64'

/** The official CPU wheel: libraries and headers in one file, with a hash that its index publishes. */
export const WHEEL = {
  file: `torch-${VERSION}+cpu-cp311-cp311-manylinux_2_28_x86_64.whl`,
  url: `https://download.pytorch.org/whl/cpu/torch-${VERSION}%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl`,
  sha256: '6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b',
}

/** About what it takes on the disk: the archive, and of what is unpacked the libraries and the headers. In bytes. */
export const SIZES = { archive: 190e6, libraries: 440e6, headers: 45e6 }

/** In the order in which they must be opened; the first two are what an addon links. */
export const REQUIRED_LIBRARIES = ['libc10.so', 'libtorch_cpu.so']

/** `2.13.0+cpu` -> `2.13.0`, and `2.13.0-1`, the first packing of it for npm, likewise: the libraries are the same. */
export const baseVersion = (version: string): string => version.replace(/\+.*$/, '').replace(/-\d+$/, '')
