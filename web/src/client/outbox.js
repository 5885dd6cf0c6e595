// Keeps wishes in the browser's storage, so that they outlive their page.

import { stamp } from './clock.js';
import { isReaction, newKey, UUID } from './ids.js';

/** @import {Cell, Wish} from '../internal.d.ts' */
/** @import {ServiceClock} from './clock.js' */

export class Outbox {
  /** The prefix of this user's items in storage; empty if nothing is stored. */
  #prefix = '';
  /** @type {ServiceClock} */
  #clock;

  /**
   * @param {string} base the service's address
   * @param {unknown} name whose wishes these are; without it none are kept
   * @param {ServiceClock} clock
   */
  constructor(base, name, clock) {
    this.#clock = clock;
    try {
      const url = new URL(`${base}/`, document.baseURI);
      if (name) this.#prefix = `onetap-outbox ${url} ${encodeURIComponent(String(name))} `;
    } catch {
      // There is no document, as in Node.
    }
  }

  /** Calls `written` whenever another tab stores a wish of this user. */
  follow(written, signal) {
    const onStorage = ({ key, newValue }) => {
      if (newValue && key.startsWith(this.#prefix)) written();
    };
    if (this.#prefix) addEventListener('storage', onStorage, { signal });
  }

  /** If storage is blocked or full, a wish lives only as long as its page. */
  #store(work) {
    try {
      return this.#prefix ? work(localStorage) : undefined;
    } catch {
      return undefined;
    }
  }

  /** @param {Wish} wish */
  put(wish) {
    const text = JSON.stringify(wish, ['reaction', 'active', 'n', 'made', 'served', 'adopted']);
    wish.stored = this.#store((storage) => storage.setItem(wish.name, text) ?? true);
  }

  /**
   * Makes a wish, and stores it before the caller awaits anything, if `room` is true.
   * @param {Cell} cell @returns {Wish}
   */
  keep({ post, reaction }, active, n, turn, room) {
    const key = newKey();
    const name = `${this.#prefix}${post.id} ${key}`;
    const now = stamp();
    const served = this.#clock.now();
    const wish = { reaction, active, key, name, n, turn, made: now.at, served, ...now };
    if (room) this.put(wish);
    return wish;
  }

  /** Whether another tab has delivered it, and so removed it. @param {Wish} wish */
  isGone({ name }) {
    return this.#store((storage) => !storage.getItem(name));
  }

  /** @param {Wish} wish */
  forget({ name }) {
    this.#store((storage) => storage.removeItem(name));
  }

  /** The stored wishes of one post or of all, in order. Removes items that are damaged. */
  found(postId = '') {
    /** @type {(Omit<Wish, 'turn'> & { id: string })[]} */
    const found = [];
    this.#store((storage) => {
      for (const name of Object.keys(storage)) {
        if (!name.startsWith(this.#prefix + postId)) continue;
        try {
          const [id, key] = name.slice(this.#prefix.length).split(' ');
          const wish = { ...JSON.parse(storage.getItem(name)), id, key, name };
          const { reaction, active, n, made } = wish;
          const good = UUID.test(id) && /^[\d-]+$/.test(key) && isReaction(reaction.trim());
          if (!good || active !== !!active || !(n > 0 && made > 0)) throw 0;
          found.push(wish);
        } catch {
          storage.removeItem(name);
        }
      }
    });
    return found.sort((a, b) => a.n - b.n || a.made - b.made);
  }
}
