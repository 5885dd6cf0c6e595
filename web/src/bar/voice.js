// Announces results to a screen reader, and shows problems.

import { h, nodes } from './dom.js';

/** @import {Texts} from '../onetap-bar.d.ts' */

/** After this time without an answer, the element says so. */
const WAIT_MS = 1_000;

export class Voice {
  spoken = h('div', { className: 'spoken', role: 'status' });
  problem = h('p', { className: 'problem', hidden: true });
  #texts;
  #dismissed;
  /** Timers of reactions with a wish. */
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

  /** Shows and announces a problem, until it is dismissed or the next tap. */
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

  /** Announces a wish when it is saved, or when that takes long. */
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

  /** Stops waiting for a wish; returns whether there was one. */
  waited(reaction) {
    clearTimeout(this.#waits.get(reaction));
    return this.#waits.delete(reaction);
  }

  /** Clears everything, for another post. */
  reset() {
    for (const reaction of this.#waits.keys()) this.waited(reaction);
    this.calm();
  }
}
