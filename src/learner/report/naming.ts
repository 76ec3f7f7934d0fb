/** `TrainEvalCallback` -> `trainEval`, `MixUp` -> `mixUp`: fastai's rule, in camelCase. */
export function callbackName(className: string): string {
  const base = className.replace(/Callback$/, '') || className
  return base.charAt(0).toLowerCase() + base.slice(1)
}

/** `errorRate` -> `error_rate`: the names that fastai prints at the head of the table. */
export function snakeCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
}
