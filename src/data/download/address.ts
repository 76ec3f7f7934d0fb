import { createHash } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf, TorchLearnerError } from '../../check/index.js'
import { exists } from '../../files/index.js'
import { URLs } from './urls.js'

/** How names of archives end. */
export const ENDING = /\.(tgz|tar\.gz|tar|zip)$/i

/** Where the archive of an address goes, and what is in it. */
export interface Place {
  readonly folder: string
  readonly archive: string
}

/** All of an address that says which file it is: not how to log in, nor which part of a page to look at. */
function identityOf(url: string): { readonly shown: string; readonly hash: string } {
  const address = new URL(url)
  address.hash = address.username = address.password = ''
  const hash = createHash('sha256').update(address.href).digest('hex')
  return { shown: `${address.origin}${address.pathname}`, hash }
}

/** fastai's own archives by the folder's name: fastai itself, and version 0.1, left no note of the address. */
const KNOWN: ReadonlyMap<string, string> = new Map(
  Object.values(URLs).map(url => [new URL(url).pathname.replace(/^.*\//, '').replace(ENDING, ''), url]),
)

/**
 * Binds folders to addresses. The folder has the archive's name, where that is free; addresses with the same ending get folders of their own,
 * with the first digits of the address's SHA-256 behind the name. A hidden file beside the folder says whose it is.
 */
export class Places {
  readonly #home: string
  readonly #url: string
  readonly #name: string

  /** @param name the archive's, as the address has it */
  constructor(home: string, url: string, name: string) {
    this.#home = home
    this.#url = url
    this.#name = name
  }

  /** The address's place, if it has one already. */
  async find(): Promise<Place | undefined> {
    for (const stem of this.#stems()) if ((await this.#owner(stem)) === 'this') return this.#place(stem)
    return undefined
  }

  /** The same, or a new one. The caller holds the lock of the archive's name. */
  async claim(): Promise<Place> {
    const { hash, shown } = identityOf(this.#url)
    for (const stem of this.#stems()) {
      const owner = await this.#owner(stem)
      if (owner === 'other') continue
      const note = this.#note(stem)
      await writeFile(`${note}.tmp`, `${hash} ${shown}\n`)
      await rename(`${note}.tmp`, note)
      return this.#place(stem)
    }
    const { folder } = this.#place(this.#stems()[1])
    throw new TorchLearnerError('ERR_STATE', `The folder ${folder} is of another address than ${this.#url}: remove it`)
  }

  /** Gives a place up that nothing has come to. */
  async release({ folder, archive }: Place): Promise<void> {
    const isUsed = [folder, archive, `${archive}.part`].map(exists)
    if ((await Promise.all(isUsed)).includes(true)) return
    for (const stem of this.#stems()) {
      if (this.#place(stem).folder === folder) await rm(this.#note(stem), { force: true })
    }
  }

  #stems(): [plain: string, own: string] {
    const stem = this.#name.replace(ENDING, '')
    return [stem, `${stem}-${identityOf(this.#url).hash.slice(0, 8)}`]
  }

  #place(stem: string): Place {
    const [plain] = this.#stems()
    return {
      folder: join(this.#home, 'data', stem),
      archive: join(this.#home, 'archive', stem + this.#name.slice(plain.length)),
    }
  }

  #note(stem: string): string {
    return join(this.#home, 'data', `.${stem}.source`)
  }

  async #owner(stem: string): Promise<'this' | 'other' | 'nobody'> {
    const note = await readFile(this.#note(stem), 'utf8').catch(error => {
      if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined
      throw error
    })
    if (note !== undefined) return note.startsWith(identityOf(this.#url).hash) ? 'this' : 'other'
    const { folder, archive } = this.#place(stem)
    const isMade = await exists(folder)
    const known = KNOWN.get(stem)
    if (known !== undefined && (isMade || (await exists(archive)))) return known === this.#url ? 'this' : 'other'
    // an archive without a folder was put there by hand
    return isMade ? 'other' : 'nobody'
  }
}
