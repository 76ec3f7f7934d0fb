import { TorchLearnerError } from '../../check/index.js'
import { inputCount } from '../../data/index.js'
import { type AnyModule, keepModes, type Module } from '../../nn/index.js'
import { mark, noGrad, rng, scope, Tensor } from '../../tensor/index.js'
import { Learner } from '../learner.js'
import { batches } from '../loop/data.js'

/** What a table of layers shows of one. */
interface Layer {
  name: string
  type: string
  shape: string
  parameters: number
  trainable: string
}

declare module '../learner.js' {
  interface Learner {
    /**
     * A table of the model's layers: their names, the shapes of their outputs for a training batch, how many parameters
     * they have, and whether these train; below it optimizer, loss and callbacks. Runs one batch through the model in
     * evaluation mode; model and random numbers stay as they were.
     *
     * @throws TorchLearnerError `ERR_NO_DATA` when the training loader is empty
     * @example console.log(await learn.summary())
     */
    summary(): Promise<string>
  }
}

Learner.prototype.summary = async function (this: Learner) {
  const { inputs, shapes } = await probe(this)
  const layers = [...this.model.namedModules()]
    .filter(([, module]) => module.children().length === 0 || [...module.ownParameters()].length > 0)
    .map(([name, module]) => describeLayer(name, module, shapes.get(module)))
  const rows = layers.map(({ name, type, shape, parameters, trainable }) => [
    [name, type].filter(Boolean).join(' '),
    shape,
    parameters === 0 ? '' : grouped(parameters),
    trainable,
  ])
  const head = ['Layer', 'Output shape', 'Parameters', 'Trainable']
  return [
    `${this.model.constructor.name} (input: ${inputs.join(', ')})`,
    '',
    ...table([head, ...rows]),
    '',
    ...totals(this),
  ].join('\n')
}

/** Runs a batch through the model, in evaluation mode, and notes the shape of what each module returns. */
async function probe(learn: Learner): Promise<{ inputs: string[]; shapes: Map<AnyModule, string> }> {
  const { model } = learn
  const restoreModes = keepModes(model)
  await rng.ready()
  const random = rng.getState().keep()
  const outputs = new Map<AnyModule, unknown>()
  const stopWatching = watch(model, outputs)
  model.eval()
  try {
    return await noGrad(() =>
      scope(async () => {
        const xb = await firstInputs(learn)
        model(...xb)
        await mark() // from here on shapes are known
        return { inputs: xb.map(shapeOf), shapes: new Map([...outputs].map(([key, value]) => [key, shapeOf(value)])) }
      }),
    )
  } finally {
    stopWatching()
    restoreModes()
    await rng.ready()
    rng.setState(random)
    await mark()
    random.dispose()
    for (const output of outputs.values()) if (output instanceof Tensor) output.dispose()
  }
}

async function firstInputs({ dls, device }: Learner): Promise<Tensor[]> {
  for await (const batch of batches(dls.train.new?.({}) ?? dls.train)) {
    const inputs = batch.slice(0, inputCount(dls.nInp, batch.length))
    return inputs.map(x => (device === 'cpu' ? x : x.to({ device })))
  }
  throw new TorchLearnerError('ERR_NO_DATA', 'summary: the training loader has no batches')
}

/** Has each module note what its `forward` returns, until the function that is returned is called. */
function watch(model: Module, outputs: Map<AnyModule, unknown>): () => void {
  const undo = model.modules().map(module => {
    const own = Object.getOwnPropertyDescriptor(module, 'forward')
    const forward = module.forward
    module.forward = (...inputs: never[]) => {
      const output = forward.apply(module, inputs)
      outputs.set(module, output instanceof Tensor ? output.detach().keep() : output)
      return output
    }
    return () => {
      if (own) Object.defineProperty(module, 'forward', own)
      else Reflect.deleteProperty(module, 'forward')
    }
  })
  return () => {
    for (const restore of undo) restore()
  }
}

function shapeOf(value: unknown): string {
  if (value instanceof Tensor) return value.shape.join(' x ') || 'scalar'
  return Array.isArray(value) ? value.map(shapeOf).join(', ') : typeof value
}

function describeLayer(name: string, module: AnyModule, shape = 'not used'): Layer {
  const own = [...module.ownParameters()].map(([, parameter]) => parameter)
  const training = own.filter(parameter => parameter.requiresGrad).length
  return {
    name,
    type: module.constructor.name,
    shape,
    parameters: count(own),
    trainable: own.length === 0 ? '' : training === own.length ? 'yes' : training === 0 ? 'no' : 'in part',
  }
}

function totals({ model, opt, lossFunc, cbs }: Learner): string[] {
  const parameters = model.parameters()
  const trainable = count(parameters.filter(parameter => parameter.requiresGrad))
  const all = count(parameters)
  const groups = opt?.paramGroups ?? []
  const frozen = groups.filter(({ params }) => params.every(p => !p.requiresGrad || opt?.flags(p).forceTrain)).length
  return [
    `Parameters: ${grouped(all)}, of which ${grouped(trainable)} train and ${grouped(all - trainable)} don't`,
    `Optimizer: ${opt ? `${opt.constructor.name}, ${groups.length} parameter groups, ${frozen} of them frozen` : 'none yet'}`,
    `Loss: ${lossFunc.constructor.name === 'Function' ? lossFunc.name || 'a function' : lossFunc.constructor.name}`,
    `Callbacks: ${cbs.map(({ label }) => label).join(', ')}`,
  ]
}

function count(tensors: readonly Tensor[]): number {
  return tensors.reduce((total, { numel }) => total + numel, 0)
}

function grouped(value: number): string {
  return value.toLocaleString('en-US')
}

/** Columns side by side: the third, a number, to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, column) => Math.max(...rows.map(row => row[column].length)))
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === 2 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ')
  const [head, ...body] = rows
  return [line(head), widths.map(width => '-'.repeat(width)).join('  '), ...body.map(line)].map(text => text.trimEnd())
}
