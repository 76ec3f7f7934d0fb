export { checkOptions } from '../check/index.js'
