import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { invalidArgument, native, TorchLearnerError } from '../native/index.js'
import { Tensor } from '../tensor/index.js'
import { knownOptions } from './validate.js'

/** Options of {@link loadPth}. */
export interface LoadPthOptions {
  /** Where tensors shall be: `cpu` (default), `cuda`, ... */
  device?: string
  /** Where the state dict is in a file that holds a dict of several things. Default: `model` or `state_dict`. */
  key?: string
}

/**
 * Reads a state dict that PyTorch has saved (`torch.save(model.state_dict(), file)`), in its zip format or the one
 * before 1.6, through libtorch's own unpickler. No code is run: a file that names anything but plain values and tensors
 * is refused. fastai's `learn.save` files work too; the model's part is taken.
 *
 * @throws TorchLearnerError `ERR_NOT_FOUND`; `ERR_FILE_FORMAT` for another kind of file, or a damaged one
 * @example model.loadStateDict(await loadPth('resnet18.pth'))
 */
export async function loadPth(file: string, options: LoadPthOptions = {}): Promise<Map<string, Tensor>> {
  if (typeof file !== 'string' || file === '') throw invalidArgument('file', 'a path', file)
  knownOptions('loadPth', options, ['device', 'key'])
  const { device, key = '' } = options
  if (typeof key !== 'string') throw invalidArgument('key', 'a string', key)
  const path = resolve(file)
  await access(path).catch((error: unknown) => {
    throw new TorchLearnerError('ERR_NOT_FOUND', `There is no readable file ${path}`, { cause: error })
  })
  const entries = await native.loadPth(path, key)
  return new Map(entries.map(([name, handle]) => [name, placed(new Tensor(handle), device)]))
}

function placed(made: Tensor, device: string | undefined): Tensor {
  if (device === undefined || device === 'cpu') return made
  const result = made.to({ device })
  made.dispose()
  return result
}
