// What the element tells a screen reader, and the line about what went wrong.

import { h, nodes } from './dom.js';

/** @import {Texts} from '../onetap-bar.d.ts' */

/** An answer that takes longer is worth a word. */
const WAIT_MS = 1_000;

export class Voice {
  spoken = h('div', { className: 'spoken', role: 'status' });
  problem = h('p', { className: 'problem', hidden: true });
  #texts;
  #dismissed;
  /** Reactions with a wish, and the timers that say so. */
  #waits = new Map();

  /**
   * @param {() => Texts} texts @param {() => void} dismissed is called before the line about a
   * problem goes
   */
  constructor(texts, dismissed) {
    this.#texts = texts;
    this.#dismissed = dismissed;
  }

  say(text) {
    this.spoken.replaceChildren(...nodes(text));
  }

  /** For eyes and ears, until it is dismissed or the next tap. */
  complain(text) {
    this.say(text);
    const onclick = () => {
      this.#dismissed();
      this.calm();
    };
    const label = this.#texts().close;
    const properties = { className: 'dismiss', type: 'button', textContent: '×', onclick };
    const dismiss = h('button', { ...properties, 'aria-label': label });
    this.problem.replaceChildren(h('span', {}, ...nodes(text)), dismiss);
    this.problem.hidden = false;
  }

  calm() {
    this.problem.hidden = true;
  }

  /** A screen reader hears of a wish when it is saved, or when that takes long. */
  follow(reaction, label, { pending, mine, count }) {
    const texts = this.#texts();
    if (!pending && this.waited(reaction))
      this.say(texts[mine ? 'added' : 'removed'](label, count));
    if (!pending || this.#waits.has(reaction)) return;
    this.#waits.set(
      reaction,
      setTimeout(() => this.say(texts.waiting(label)), WAIT_MS),
    );
  }

  /** Whether there was a wish, which is no longer waited for. */
  waited(reaction) {
    clearTimeout(this.#waits.get(reaction));
    return this.#waits.delete(reaction);
  }

  /** For another post. */
  reset() {
    for (const reaction of this.#waits.keys()) this.waited(reaction);
    this.calm();
  }
}
