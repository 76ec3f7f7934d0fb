/** What becomes of each picture: the part chosen by `method`, as `height` x `width` RGB bytes. */
export interface PictureRequest {
  readonly width: number
  readonly height: number
  /** `exact` takes the picture as it is and refuses another size. */
  readonly method: 'exact' | 'crop' | 'pad' | 'squish'
  readonly padMode: 'zeros' | 'border' | 'reflection'
  /** Pictures with more pixels than this are refused, before anything is decoded. */
  readonly maxPixels: number
}

/** Why one file of a chunk gave no picture. */
export interface PictureFailure {
  /** Its place in the list of paths. */
  readonly index: number
  /** `unsupported`: perhaps a picture, but this decoder doesn't know the format. */
  readonly problem: 'missing' | 'unreadable' | 'empty' | 'unsupported' | 'damaged' | 'too-large' | 'wrong-size'
  /** A clause: `the file is empty`. */
  readonly reason: string
}

/** Decoding and resizing on libuv's thread pool (binding/image.cc). */
export interface ImageAddon {
  /** What this build decodes by itself. */
  imageCodecs(): ('png' | 'jpeg')[]
  /** The size that a file's header states. */
  imageSize(path: string): Promise<{ width: number; height: number } | PictureFailure>
  /**
   * Decodes files into `out`, one after the other from byte `offset`, each as height x width x 3 bytes.
   *
   * @param places two fractions a file, across and down: where the box sits, `.5, .5` in the middle
   * @returns the failures; the other pictures are in place
   */
  decodeImages(
    paths: string[],
    places: Float64Array,
    out: Uint8Array,
    offset: number,
    request: PictureRequest,
  ): Promise<PictureFailure[]>
  /** The same cutting and resizing for pixels that are already decoded. */
  resizePixels(
    rgb: Uint8Array,
    width: number,
    height: number,
    placeX: number,
    placeY: number,
    out: Uint8Array,
    offset: number,
    request: PictureRequest,
  ): Promise<PictureFailure | undefined>
  /** The box that is taken of a picture: left, top, width, height; it may reach outside when padding. */
  resizeBox(
    width: number,
    height: number,
    placeX: number,
    placeY: number,
    request: PictureRequest,
  ): [left: number, top: number, width: number, height: number]
}
