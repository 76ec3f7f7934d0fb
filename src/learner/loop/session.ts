/**
 * Opens a session that stays open until it is closed: what `await using` needs.
 *
 * @param run runs a body between the events that begin and end a session
 */
export function openSession(run: (body: () => Promise<void>) => Promise<unknown>): Promise<AsyncDisposable> {
  let close = (): void => undefined
  const closed = new Promise<void>(resolve => {
    close = resolve
  })
  return new Promise((opened, failed) => {
    const ended = run(() => {
      opened({
        [Symbol.asyncDispose]: async () => {
          close()
          await ended
        },
      })
      return closed
    })
    ended.catch(failed)
  })
}
