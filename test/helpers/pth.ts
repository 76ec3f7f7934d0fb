import type { Tensor } from 'torch-learner'

/** The older format's start: magic number, protocol version and a dict about the system, each a pickle. */
export const LEGACY = Buffer.from('80028a0a6cfc9c46f9206aa850192e80024de9032e80027d2e', 'hex')

/** Pieces of a pickle: instructions as text or bytes. */
export function pickled(...parts: (string | Buffer | number[])[]): Buffer {
  return Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))))
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  const head = Buffer.alloc(5, 'X')
  head.writeUInt32LE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

export function int(value: number): Buffer {
  const bytes = Buffer.alloc(5, 'J')
  bytes.writeInt32LE(value, 1)
  return bytes
}

const ints = (values: readonly number[]) => pickled('(', ...values.map(int), 't')

interface TensorPickle {
  key: string
  elements: number
  type?: string
  offset?: number
  size: readonly number[]
  stride: readonly number[]
}

/** What PyTorch writes for a tensor in a storage of its own. */
export function tensorPickle({ key, elements, type = 'Float', offset = 0, size, stride }: TensorPickle): Buffer {
  const storage = pickled('(', text('storage'), `ctorch\n${type}Storage\n`, text(key), text('cpu'), int(elements), 'tQ')
  const hooks = 'ccollections\nOrderedDict\n)R'
  return pickled(
    'ctorch._utils\n_rebuild_tensor_v2\n(',
    storage,
    int(offset),
    ints(size),
    ints(stride),
    [0x89],
    hooks,
    'tR',
  )
}

/** A dict of what has been pickled. */
export function dictPickle(entries: readonly (readonly [string, Buffer])[]): Buffer {
  return pickled([0x80, 2], '}(', ...entries.flatMap(([name, value]) => [text(name), value]), 'u.')
}

export function keysPickle(keys: readonly string[]): Buffer {
  return pickled([0x80, 2], '](', ...keys.map(text), 'e.')
}

/** A storage's elements, with their number in front. */
export function numbers(count: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(8)
  head.writeBigInt64LE(BigInt(count))
  return Buffer.concat([head, bytes])
}

/** A state dict of float32 and int64 tensors as a whole file. */
export async function legacyFile(state: ReadonlyMap<string, Tensor>): Promise<Buffer> {
  const tensors = await Promise.all(
    [...state].map(async ([name, x], i) => {
      const size = x.shape
      const stride = size.map((_, d) => size.slice(d + 1).reduce((product, n) => product * n, 1))
      const data = await x.data()
      const type = x.dtype === 'int64' ? 'Long' : 'Float'
      const value = tensorPickle({ key: `${i}`, elements: data.length, type, size, stride })
      return { name, key: `${i}`, value, data }
    }),
  )
  return Buffer.concat([
    LEGACY,
    dictPickle(tensors.map(({ name, value }) => [name, value] as const)),
    keysPickle(tensors.map(({ key }) => key)),
    ...tensors.map(({ data }) => numbers(data.length, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))),
  ])
}
