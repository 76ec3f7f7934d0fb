/** What binding/ exports, by concern. Mechanism only: everything public is built on top of it in TypeScript. */
export interface NativeAddon {
  /** The libtorch that the addon was compiled against, `2.13.0`. */
  version(): { torch: string }
}
