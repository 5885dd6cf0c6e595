// Holds what judges a tap by the palettes of the service (palettes.js), and loads both when the
// page asks for them.

/** @import {Palette} from '../onetap.d.ts' */
/** @import {Judge, Parts} from '../internal.d.ts' */

const isWhole = ({ palettes }) => palettes.default;

/** As long as the palettes are not known. @type {Judge} */
const UNKNOWN = { of() {}, meant: (_, name) => name, refusal() {}, exclude() {} };

export class Rules {
  /** @type {Parts} */
  #parts;
  /** @type {Promise<Record<string, Palette> | undefined> | undefined} */
  #asked;
  judge = UNKNOWN;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** All palettes; undefined if the service does not say. Asks once, and again after a failure. */
  load() {
    return (this.#asked ??= this.#load());
  }

  async #load() {
    const { posts, service } = this.#parts;
    const { body } = await service.ask('', [], isWhole, { root: '/palettes' });
    const part = body && (await import('./palettes.js').catch(() => {}));
    if (part) this.judge = part.judge(body.palettes);
    else this.#asked = undefined;
    // A wish that is shown may take away another reaction, as one sees now.
    posts.showAll();
    return part && body.palettes;
  }
}
