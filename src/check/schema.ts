import { createRequire } from 'node:module'
import type * as Zod from 'zod/mini'
import { invalidArgument } from './errors.js'
import { isPlainObject } from './kinds.js'

/*
 * What a value may be, and what is made of it. A field says what it takes in words, and how zod checks it. To load zod and to make its
 * schemas costs more than the rest of a program's start, so that a field is only a description until something is checked
 * with it: then zod is loaded, once, and the field's schema made, once. `check/options.ts` writes the sentence.
 */

type Z = typeof Zod

let loaded: Z | undefined

/** zod, from the first check on. Not an import: that would be at every program's start. */
function zod(): Z {
  loaded ??= createRequire(import.meta.url)('zod/mini') as Z
  return loaded
}

/** What stands in the way of a value: what would have been right, and what was there. */
export class Wrong {
  /**
   * @param what what would have been right
   * @param received what came instead
   * @param path where in the value it was; empty: the value itself
   */
  constructor(
    readonly what: string,
    readonly received: unknown,
    readonly path: readonly PropertyKey[] = [],
  ) {}
}

/** A kind of values: what {@link field} makes. */
export class Field<T> {
  #schema: Zod.ZodMiniType<T> | undefined

  /**
   * @param what what it takes, in words: `true or false`
   * @param make the schema that checks it, in these words
   */
  constructor(
    readonly what: string,
    private readonly make: (z: Z) => Zod.ZodMiniType<T>,
  ) {}

  /** Made at the first check. */
  get schema(): Zod.ZodMiniType<T> {
    this.#schema ??= this.make(zod())
    return this.#schema
  }

  /** The value, perhaps filled in or copied; or what is wrong with it. */
  read(value: unknown): T | Wrong {
    const result = zod().safeParse(this.schema, value, { reportInput: true })
    return result.success ? result.data : first(result.error.issues)
  }

  takes(value: unknown): boolean {
    return !(this.read(value) instanceof Wrong)
  }

  /** It may be left out. */
  optional(): Field<T | undefined> {
    return new Field<T | undefined>(this.what, z => z.optional(this.schema))
  }

  /** It may be left out, and is then this. */
  default(byDefault: T): Field<T> {
    return new Field(this.what, z => z._default(this.schema, () => byDefault as never))
  }

  nullable(): Field<T | null> {
    return new Field<T | null>(this.what, z => z.nullable(this.schema))
  }

  /** It may be left out, or null. */
  nullish(): Field<T | null | undefined> {
    return this.nullable().optional()
  }

  /** This, or that. @param what both of it in words */
  or<Other>(other: Field<Other>, what = `${this.what}, or ${other.what}`): Field<T | Other> {
    return new Field<T | Other>(what, z => z.union([this.schema, other.schema], what))
  }

  /** Has a further condition. @param what what would then be right */
  and(what: string, fits: (value: T) => boolean): Field<T> {
    return new Field(this.what, z => this.schema.check(z.refine<T>(fits, what)))
  }

  /** Makes something of it. */
  to<Made>(make: (value: T) => Made): Field<Made> {
    return new Field<Made>(this.what, z => z.pipe(this.schema, z.transform(make)))
  }
}

type Issue = Zod.core.$ZodIssue

/** The issue that is told of: a name that is misspelt is why another one is missing. */
function first(issues: readonly Issue[]): Wrong {
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]
  const { message, path } = issue
  return new Wrong(message, issue.code === 'unrecognized_keys' ? issue.keys[0] : issue.input, path)
}

/** What a field gives. */
export type Output<F> = F extends Field<infer T> ? T : never

/** Fields by name. */
export type Shape = Readonly<Record<string, Field<unknown>>>

type MayLack<S extends Shape> = {
  [K in keyof S]: unknown extends Output<S[K]> ? never : undefined extends Output<S[K]> ? K : never
}[keyof S]

/** What an object of such fields holds; those that may be undefined may be missing. */
export type Values<S extends Shape> = { [K in Exclude<keyof S, MayLack<S>>]: Output<S[K]> } & {
  [K in MayLack<S>]?: Output<S[K]>
} extends infer All
  ? { [K in keyof All]: All[K] }
  : never

/** An object of fields. Each is read once, whatever their getters do. */
export class ObjectField<S extends Shape = Shape> extends Field<Values<S>> {
  #none: Values<S> | Wrong | undefined

  /** @param strict whether other names are wrong; else they are passed over */
  constructor(
    readonly shape: S,
    readonly strict: boolean,
  ) {
    const names = Object.keys(shape).join(', ')
    super(`an object with ${names}`, z => {
      const fields = Object.fromEntries(Object.entries(shape).map(([name, one]) => [name, one.schema]))
      const error = ({ code }: { code?: string }) =>
        code === 'unrecognized_keys' ? `only ${names}` : `an object with ${names}`
      const made: unknown = strict ? z.strictObject(fields, { error }) : z.object(fields, { error })
      return made as Zod.ZodMiniType<Values<S>>
    })
  }

  /** What it gives where nothing is given: the defaults. */
  get none(): Values<S> | Wrong {
    this.#none ??= this.read({})
    return this.#none
  }

  /**
   * With further fields, or others in the place of some.
   *
   * @throws TorchLearnerError `ERR_INVALID_ARG` for what is no {@link Field}
   */
  extend<More extends Shape>(more: More): ObjectField<Omit<S, keyof More> & More> {
    if (!isPlainObject(more)) throw invalidArgument('the fields', 'an object of what field(what, fits) makes', more)
    for (const [name, one] of Object.entries<unknown>(more)) {
      if (!(one instanceof Field)) throw invalidArgument(`the field ${name}`, 'what field(what, fits) makes', one)
    }
    return new ObjectField({ ...this.shape, ...more } as Omit<S, keyof More> & More, this.strict)
  }

  /** Of these fields only. */
  pick<K extends keyof S & string>(...names: readonly K[]): ObjectField<Pick<S, K>> {
    const those: Partial<Pick<S, K>> = {}
    for (const name of names) those[name] = this.shape[name]
    return new ObjectField(those as Pick<S, K>, this.strict)
  }

  /** Without these fields. */
  omit<K extends keyof S & string>(...names: readonly K[]): ObjectField<Omit<S, K>> {
    const left: Partial<S> = { ...this.shape }
    for (const name of names) delete left[name]
    return new ObjectField(left as Omit<S, K>, this.strict)
  }
}

/** Options: an object of these fields, where any other name is a mistake. */
export function strictObject<S extends Shape>(shape: S): ObjectField<S> {
  return new ObjectField(shape, true)
}

/** An object that has these fields; what else it has doesn't matter, and is left out. */
export function object<S extends Shape>(shape: S): ObjectField<S> {
  return new ObjectField(shape, false)
}

/** Two such items in an array. */
export function two<T>(item: Field<T>, what = `two of ${item.what}`): Field<readonly [T, T]> {
  return new Field<readonly [T, T]>(what, z => z.tuple([item.schema, item.schema], what))
}

/** An object of such values by any names. */
export function record<T>(item: Field<T>, what = 'an object'): Field<Record<string, T>> {
  return new Field<Record<string, T>>(what, z => z.record(z.string(), item.schema, what))
}

/**
 * An array of such items, copied and frozen; the message is about the first that is wrong.
 *
 * @param least how many there must be
 */
export function list<T>(item: Field<T>, what = `an array of ${item.what}`, least = 0): Field<readonly T[]> {
  return new Field<readonly T[]>(what, z => {
    const array = z.custom<readonly unknown[]>(value => Array.isArray(value) && value.length >= least, what)
    // to the first wrong one only, which zod's array isn't: an array of holes may be endless
    const items = z.transform<readonly unknown[], readonly T[]>((given, context) => {
      const made: T[] = []
      for (let i = 0; i < given.length; i++) {
        const taken = item.read(given[i])
        if (taken instanceof Wrong) {
          const { what: message, received: input, path } = taken
          context.issues.push({ code: 'custom', message, input, path: [i, ...path] })
          return z.NEVER
        }
        made.push(taken)
      }
      return Object.freeze(made)
    })
    return z.pipe(array, items)
  })
}
