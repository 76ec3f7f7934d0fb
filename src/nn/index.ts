// What the other folders of src/ may use. What users get of it, src/index.ts lists.
export { lossPair } from './functional.js'
export { keepModes } from './modes.js'
export { loadInTurns } from './module.js'
export * from './nn.js'
export * as nn from './nn.js'
export { isTensor, memoryFormat, pair } from './validate.js'
