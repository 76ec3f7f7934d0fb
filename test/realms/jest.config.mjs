/** Jest gives every test file classes of its own: `Map`, `Error` and `Promise` here are not those of Node's modules. */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/*.jest.mjs'],
  testTimeout: 60_000,
  transform: {},
}
