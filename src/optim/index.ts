// What the other folders of src/ may use. What users get of it, src/index.ts lists.
export { spread } from './hyper.js'
export * from './optim.js'
export * as optim from './optim.js'
