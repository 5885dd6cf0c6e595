// Wishes in the browser's storage, which outlive their page.

import { stamp } from './clock.js';
import { isReaction, newKey, UUID } from './ids.js';

/** @import {Cell, Wish} from '../internal.d.ts' */
/** @import {ServiceClock} from './clock.js' */

export class Outbox {
  /** How the names of this user's wishes in storage begin. */
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
      // Not in a page.
    }
  }

  /** Calls `written` whenever another tab has put a wish of this user here. */
  follow(written, signal) {
    const onStorage = ({ key, newValue }) => {
      if (newValue && key.startsWith(this.#prefix)) written();
    };
    if (this.#prefix) addEventListener('storage', onStorage, { signal });
  }

  /** Without storage, or if it is full, a wish lives as long as its page. */
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
   * A new wish, in storage before anything is awaited, unless there is no room for it.
   * @param {Cell} cell @returns {Wish}
   */
  keep({ post, reaction }, active, n, room) {
    const key = newKey();
    const name = `${this.#prefix}${post.id} ${key}`;
    const now = stamp();
    const served = this.#clock.now();
    const wish = { reaction, active, key, name, n, made: now.at, served, ...now };
    if (room) this.put(wish);
    return wish;
  }

  /** Whether another tab has brought it to the service. @param {Wish} wish */
  isGone({ name }) {
    return this.#store((storage) => !storage.getItem(name));
  }

  /** @param {Wish} wish */
  forget({ name }) {
    this.#store((storage) => storage.removeItem(name));
  }

  /** What is there, of one post or all, in the order of the wishes; removes what is no wish. */
  found(postId = '') {
    /** @type {(Wish & { id: string })[]} */
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
    return found.sort((a, b) => a.n - b.n);
  }
}
