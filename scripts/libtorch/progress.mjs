// @ts-check
// How far a download is: one line that moves on a terminal, a plain line every tenth elsewhere.

/** @param {number} bytes */
const megabytes = bytes => (bytes / 1e6).toFixed(1)

/**
 * @param {string} title
 * @param {number | null} total bytes, null when the server doesn't say
 * @param {{ isTTY?: boolean, write(text: string): unknown }} [stream]
 */
export function progress(title, total, stream = process.stderr) {
  const started = performance.now()
  const first = { bytes: /** @type {number | null} */ (null) }
  let shown = -1
  let drawn = 0

  /** @param {number} bytes */
  const line = bytes => {
    const seconds = (performance.now() - started) / 1000
    const speed = seconds > 0 ? (bytes - (first.bytes ?? 0)) / seconds : 0
    const share = total
      ? `${String(Math.floor((100 * bytes) / total)).padStart(3)} % of ${megabytes(total)} MB`
      : `${megabytes(bytes)} MB`
    const left = total && speed > 0 ? `, ${Math.ceil((total - bytes) / speed)} s left` : ''
    return `${title}: ${share}, ${megabytes(speed)} MB/s${left}`
  }
  return {
    /** @param {number} bytes so far, with what an earlier attempt left */
    update(bytes) {
      first.bytes ??= bytes
      if (stream.isTTY) {
        if (performance.now() - drawn < 100) return
        drawn = performance.now()
        stream.write(`\r\x1b[2K${line(bytes)}`)
        return
      }
      const tenth = total ? Math.floor((10 * bytes) / total) : Math.floor(bytes / 50e6)
      if (tenth === shown) return
      shown = tenth
      stream.write(`${line(bytes)}\n`)
    },
    end() {
      if (stream.isTTY) stream.write('\r\x1b[2K')
    },
  }
}
