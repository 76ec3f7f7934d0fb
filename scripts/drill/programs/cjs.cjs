// CommonJS: by require() where Node lets it load modules, else by import()
const started = performance.now()
async function load() {
  if (process.features.require_module) return require('torch-learner')
  return import('torch-learner')
}
load().then(async torch => {
  const { tell, train } = await import('./train.mjs')
  tell(await train(torch, started))
})
