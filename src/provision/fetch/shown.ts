/** An address as messages, logs and stamps may have it: without the password that some carry. */
export function shown(url: URL): string {
  if (url.username === '' && url.password === '') return url.href
  const copy = new URL(url)
  copy.username = ''
  copy.password = ''
  return copy.href
}
