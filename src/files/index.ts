// What the other folders of src/ may use. What users get of it, src/nn/nn.ts lists.
export { checkTarget, exists, reading, writing } from './files.js'
export { type LoadPthOptions, loadPth, loadPthSync } from './load-pth.js'
export {
  type LoadSafetensorsOptions,
  loadSafetensors,
  readSafetensors,
  readSealed,
  type SafetensorsContent,
  type SaveSafetensorsOptions,
  saveSafetensors,
  saveSealed,
} from './safetensors.js'
export { type LoadResult, loadSteps, type StateDict, StateDictError, stateEntries } from './state-dict.js'
export { atOnce, each, inSteps, inTurns, mapped, type Steps, sorted, stepsOf, takeTurns, withSteps } from './turns.js'
export { clearAside, probe, writeAside } from './write-aside.js'
