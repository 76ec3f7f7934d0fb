// Calls untarData as soon as it has started, and says how many files there were when it came back.
import { readdir } from 'node:fs/promises'
import { untarData } from 'torch-learner'

const [, , url, home] = process.argv
const path = await untarData(url, { home, onProgress: () => undefined })
process.send?.((await readdir(path)).length)
process.disconnect()
