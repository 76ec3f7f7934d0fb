/** A learning rate to try, and the point of the curve that speaks for it. */
export interface Suggestion {
  readonly lr: number
  readonly point: readonly [lr: number, loss: number]
}

/** Reads a learning rate off the curve of smoothed losses over learning rates; at least two points. */
export type Suggest = (lrs: readonly number[], losses: readonly number[]) => Suggestion

function at(lrs: readonly number[], losses: readonly number[], i: number): Suggestion {
  return { lr: lrs[i], point: [lrs[i], losses[i]] }
}

/** Two thirds down the longest stretch over which the losses fall, however they bounce in between. */
const valley: Suggest = (lrs, losses) => {
  const lengths: number[] = []
  let end = 0
  let begin = 0
  losses.forEach((loss, i) => {
    const before = lengths.filter((_, j) => losses[j] > loss)
    lengths.push(1 + Math.max(0, ...before))
    if (lengths[i] <= lengths[end]) return
    end = i
    begin = end - lengths[i]
  })
  const third = (end - begin) / 3
  return at(lrs, losses, Math.max(0, begin + Math.trunc(third) + Math.trunc(third / 2)))
}

const WINDOW = 15
const STEADY = 0.005

/**
 * From the right, the last place before the slope becomes the same on both sides of a window of 15 points. A curve
 * with fewer points gets a narrower window, where fastai fails.
 */
const slide: Suggest = (lrs, losses) => {
  const slopes = gradient(losses)
  const window = Math.min(WINDOW, losses.length - 1)
  let right = losses.length - 1
  let found = right - window
  for (let left = found; left >= 0 && Math.abs(slopes[right] - slopes[left]) > STEADY; left--, right--) found = left
  return at(lrs, losses, found)
}

/** A tenth of the learning rate with the least loss. */
const minimum: Suggest = (lrs, losses) => {
  const { point } = at(lrs, losses, indexOfLeast(losses))
  return { lr: point[0] / 10, point }
}

/** Where the loss falls fastest over the logarithm of the learning rate. */
const steep: Suggest = (lrs, losses) => {
  const slopes = losses.slice(1).map((loss, i) => (loss - losses[i]) / (Math.log(lrs[i + 1]) - Math.log(lrs[i])))
  return at(lrs, losses, indexOfLeast(slopes))
}

/** The ways to read the curve, by fastai's names. */
export const suggestions = { valley, slide, minimum, steep } satisfies Record<string, Suggest>

/** Central differences, one-sided at both ends. */
function gradient(values: readonly number[]): number[] {
  return values.map((_, i) => {
    const [before, after] = [Math.max(i - 1, 0), Math.min(i + 1, values.length - 1)]
    return (values[after] - values[before]) / (after - before)
  })
}

function indexOfLeast(values: readonly number[]): number {
  return values.reduce((least, value, i) => (value < values[least] ? i : least), 0)
}
