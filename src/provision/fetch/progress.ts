// How far a download is: one line that moves on a terminal, a plain line every tenth elsewhere.

const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)

/** What is written to. */
export interface Terminal {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/**
 * Shows how far a download is.
 *
 * @param total bytes, null when the server doesn't say
 */
export function progress(title: string, total: number | null, stream: Terminal = process.stderr) {
  const started = performance.now()
  let first: number | undefined
  let shown = -1
  let drawn = 0

  const line = (bytes: number) => {
    const seconds = (performance.now() - started) / 1000
    const speed = seconds > 0 ? (bytes - (first ?? 0)) / seconds : 0
    const share = total
      ? `${String(Math.floor((100 * bytes) / total)).padStart(3)} % of ${megabytes(total)} MB`
      : `${megabytes(bytes)} MB`
    const left = total && speed > 0 ? `, ${Math.ceil((total - bytes) / speed)} s left` : ''
    return `${title}: ${share}, ${megabytes(speed)} MB/s${left}`
  }
  return {
    /** @param bytes so far, with what an earlier attempt left */
    update(bytes: number): void {
      first ??= bytes
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
    end(): void {
      if (stream.isTTY) stream.write('\r\x1b[2K')
    },
  }
}
