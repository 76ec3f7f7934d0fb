// What the other folders of src/ may use. What users get of it, src/index.ts lists.

import { withAutoSetup } from '../provision/index.js'
import type { NativeAddon } from './addon.js'
import { loadAddon } from './load.js'

export type { CallResult, Handle, NativeAddon, ReadResult, TaggedValue, TensorInfo, UnreadError } from './addon.js'
export { type DoctorReport, doctor, doctorReport } from './doctor.js'
export { drawsOf, type PictureFailure, type PictureRequest, type PictureStep } from './image.js'

/** The loaded addon, one per Node environment: importing this module in a worker thread gives the worker its own. */
export const native: NativeAddon = withAutoSetup(loadAddon)
