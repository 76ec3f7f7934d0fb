import { Callback } from '../learner/index.js'

/**
 * Lays the model out channels-last before each fit, which convolutions like best. A {@link Learner} does that for
 * convolutional models on its own, once, unless made with `channelsLast: false`; results differ by rounding only.
 *
 * @example await learn.fit(1, { cbs: new ChannelsLast() })
 */
export class ChannelsLast extends Callback {
  override order = -1

  override beforeFit(): void {
    this.learn.model.to({ memoryFormat: 'channels_last' })
  }
}
