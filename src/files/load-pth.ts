import { accessSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { checkArguments, strictObject, string, TorchLearnerError } from '../check/index.js'
import { native } from '../native/index.js'
import { Tensor } from '../tensor/index.js'
import { checkFile } from './files.js'

const schema = strictObject({ device: string('a device').default('cpu'), key: string().default('') })

/** Options of {@link loadPth}. */
export interface LoadPthOptions {
  /** The device of the tensors: `cpu` (default), `cuda`, ... */
  device?: string
  /**
   * Where the state dict is in a file that holds a dict of several things, as `model_state_dict` in `{ epoch,
   * model_state_dict, optimizer_state_dict }`. Default: `model` or `state_dict`; the error for others names what there is.
   */
  key?: string
}

/**
 * Reads a state dict that PyTorch has saved (`torch.save(model.state_dict(), file)`), in its zip format or the one
 * before 1.6. No code is run: a file that names anything but plain values and tensors is refused. Nothing that the file
 * says of sizes is believed; no more memory is taken than the file has bytes, and a part of that for its description.
 * fastai's `learn.save` files work too; the model's part is taken.
 *
 * @throws TorchLearnerError `ERR_NOT_FOUND`; `ERR_FILE_FORMAT` for another kind of file, or a damaged one
 * @example model.loadStateDict(await loadPth('resnet18.pth'))
 */
export async function loadPth(file: string, options: LoadPthOptions = {}): Promise<Map<string, Tensor>> {
  const { path, key, device } = checked(file, options)
  await access(path).catch((error: unknown) => {
    throw notFound(path, error)
  })
  return toTensors(await native.loadPth(path, key), device)
}

/** {@link loadPth}, blocking. */
export function loadPthSync(file: string, options: LoadPthOptions = {}): Map<string, Tensor> {
  const { path, key, device } = checked(file, options)
  try {
    accessSync(path)
  } catch (error) {
    throw notFound(path, error)
  }
  return toTensors(native.loadPthSync(path, key), device)
}

function checked(file: string, options: LoadPthOptions): { path: string; key: string; device: string } {
  checkFile(file)
  return { path: resolve(file), ...checkArguments(schema, options, 'loadPth') }
}

function notFound(path: string, cause: unknown): TorchLearnerError {
  return new TorchLearnerError('ERR_NOT_FOUND', `There is no readable file ${path}`, { cause })
}

function toTensors(entries: readonly [name: string, handle: number][], device: string): Map<string, Tensor> {
  return new Map(entries.map(([name, handle]) => [name, placed(new Tensor(handle), device)]))
}

function placed(made: Tensor, device: string): Tensor {
  if (device === 'cpu') return made
  const result = made.to({ device })
  made.dispose()
  return result
}
