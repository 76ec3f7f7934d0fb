export default {
  testEnvironment: 'node',
  testMatch: ['**/fit.jest.mjs'],
  transform: {},
  moduleFileExtensions: ['mjs', 'js'],
}
