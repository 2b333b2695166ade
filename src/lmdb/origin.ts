import { resolve } from 'node:path'

/** Whatever is made of the same directory publishes and listens at the same place. */
export class DirectoryOrigin {
  readonly #path: string

  constructor(path: string) {
    this.#path = resolve(path)
  }

  isSame(origin: object): boolean {
    return origin instanceof DirectoryOrigin && origin.#path === this.#path
  }
}
