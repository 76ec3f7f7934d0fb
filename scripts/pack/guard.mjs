// @ts-check
// prepack: what is published is made by `npm run pack:all`. The checkout itself names no platform package and holds no binary.
console.error(
  'torch-learner: this checkout is not what is published: run `npm run pack:all`, which puts the packages with their binaries into npm/, ' +
    'and publish those (RELEASING.md)',
)
process.exitCode = 1
