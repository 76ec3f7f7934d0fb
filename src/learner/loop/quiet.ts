import { checkValue } from '../../check/index.js'
import { Learner } from '../learner.js'
import { functionField } from '../options.js'
import { ProgressCallback } from '../report/progress.js'

declare module '../learner.js' {
  interface Learner {
    /**
     * Runs `body`, which may be async, without the progress line and its table: rows go to `learn.logger`. However it
     * ends, the {@link ProgressCallback}s are back afterwards (at the end of the list).
     *
     * @example await learn.noBar(() => learn.fit(1))
     */
    noBar<T>(body: () => T | Promise<T>): Promise<T>
    /**
     * Runs `body`, which may be async, without writing rows of the table to `learn.logger`. A {@link ProgressCallback}
     * shows a table of its own: with {@link noBar} nothing is shown at all.
     *
     * @example await learn.noBar(() => learn.noLogging(() => learn.fit(1)))
     */
    noLogging<T>(body: () => T | Promise<T>): Promise<T>
  }
}

Learner.prototype.noBar = function (this: Learner, body) {
  checkValue(functionField, body, 'body')
  return this.removedCbs(ProgressCallback, body)
}

Learner.prototype.noLogging = async function (this: Learner, body) {
  checkValue(functionField, body, 'body')
  const { logger } = this
  this.logger = () => undefined
  try {
    return await body()
  } finally {
    this.logger = logger
  }
}
