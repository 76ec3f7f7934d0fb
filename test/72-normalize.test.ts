// Normalize, against the reference's numbers.
import test from 'ava'
import { IntToFloatTensor, imagenetStats, Normalize, tensor } from 'torch-learner'
import { assertClose, type Fixture, golden, toTensor } from './helpers/golden.js'
import { coded } from './helpers/pictures.js'

interface Recording {
  valid_batch: { x: Fixture }
  valid_batch_normalized_x: Fixture
}

test('imagenet statistics, and back', async t => {
  const { valid_batch, valid_batch_normalized_x } = golden<Recording>('image_dls')
  const transform = Normalize.fromStats(imagenetStats)
  const x = toTensor(valid_batch.x)
  const normalised = transform.encodes(x, 'cpu')
  await assertClose(t, normalised, valid_batch_normalized_x)
  await assertClose(t, transform.decodes(normalised, 'cpu'), valid_batch.x)
  await assertClose(t, x, valid_batch.x, {}, 'the input is left alone')
})

test('bytes become numbers in 0 to 1', async t => {
  const bytes = tensor(Uint8Array.of(0, 51, 255))
  const made = new IntToFloatTensor().encodes(bytes)
  t.is(made.dtype, 'float32')
  t.deepEqual([...(await made.data())], [0, Math.fround(51 / 255), 1])
})

test('bad input', async t => {
  const make =
    (...args: unknown[]) =>
    () =>
      Reflect.construct(Normalize, args)
  await coded(t, make(0.5, 0.5), 'ERR_INVALID_ARG', /an array of numbers, one a channel, for mean but received 0.5/)
  await coded(
    t,
    make([0.5, 0.5], [1]),
    'ERR_INVALID_ARG',
    /2 numbers above 0, one a channel, for std but received \[1\]/,
  )
  await coded(t, make([0.5], [0]), 'ERR_INVALID_ARG', /1 numbers above 0/)
  await coded(
    t,
    () => Reflect.apply(Normalize.fromStats, Normalize, [[1]]),
    'ERR_INVALID_ARG',
    /\[means, standard deviations\]/,
  )
})
