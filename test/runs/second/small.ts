// Single cases of other sizes: segmentation, a head, a picture folder.
import { createHead, manualSeed, noGrad, rand, randint, randn } from 'torch-learner'
import { golden } from '../../helpers/golden.js'
import { hashFill, hashTensor } from '../../helpers/hash-fill.js'
import { recordedTensor, write } from './write.js'

/** Masks of 4 classes in 5 pictures. */
export async function segmentation(folder: string): Promise<void> {
  manualSeed(13)
  const first = golden<{ reference_errors: { name: string }[] }>('mixup_batches')
  const [pred, lam] = [await recordedTensor(randn([5, 4, 3, 6])), await recordedTensor(rand([5]))]
  const masks = async () => [await recordedTensor(randint(0, 4, [5, 3, 6]))]
  const made = { pred, lam, yb: await masks(), yb1: await masks() }
  const reference_errors = first.reference_errors.map(recorded =>
    recorded.name === 'segmentation_ce_axis1' ? { ...recorded, ...made } : recorded,
  )
  write(folder, 'mixup_batches', { ...first, reference_errors })
}

/** A head of 96 features, checked with 3 pictures of 2 x 4. */
export async function head(folder: string): Promise<void> {
  const first = golden<object>('create_head')
  const [args, salt, shape] = [{ nf: 96, n_out: 6 }, 55, [3, 96, 2, 4]]
  const made = createHead(args.nf, args.n_out)
  hashFill(made, 300)
  const layers = [...made.namedModules()]
    .filter(([name, module]) => name !== '' && module.children().length === 0)
    .map(([name, module]) => ({ name, type: module.constructor.name, repr: module.extraRepr() }))
  const out = noGrad(() => made.eval()(hashTensor(shape, salt)))
  const check = {
    input: `hash tensor, salt ${salt}, shape [${shape.join(', ')}]`,
    init_salt0: 300,
    eval_out: await recordedTensor(out),
  }
  const top_level = made.children().map(child => child.constructor.name)
  const state_dict = Object.fromEntries([...made.stateDict()].map(([name, x]) => [name, x.shape]))
  write(folder, 'create_head', { ...first, cases: [{ args, layers, state_dict, top_level, check }] })
}
