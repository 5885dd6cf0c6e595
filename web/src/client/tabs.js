// Streams shared by all tabs: one tab leads, holds them, and passes on what they say.

import { newKey } from './ids.js';
import { GATHER_MS } from './reads.js';

/** @import {Parts} from '../internal.d.ts' */

/** How often the tab with the streams says that it runs, and how often it may fail to. */
const BEAT_MS = 2_000;
const MOST_MISSED = 2;

export class Tabs {
  /** @type {Parts} */
  #parts;
  #timer;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  /** Whether the streams are this tab's to hold. */
  #leads = true;
  /** This tab's application for that, as long as it stands. @type {AbortController | undefined} */
  #application;
  /** Under which name other tabs may hear what this one watches. @type {string | undefined} */
  #name;
  /** What other tabs watch. @type {Map<string, string[]>} */
  #others = new Map();
  /** Beats of the leading tab that did not come. */
  #missed = 0;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Looks soon at what is to be streamed: something may have changed. */
  relisten() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.tend(), GATHER_MS);
  }

  /** Forgets what nobody needs; brings the streams to none, another tab's, or ours for all. */
  tend() {
    const { posts, settings, signal, streams } = this.#parts;
    posts.sweep();
    const idle =
      !settings.live || signal.aborted || globalThis.document?.visibilityState === 'hidden';
    const watches = idle ? [] : posts.ids().reverse();
    if (!watches.length) this.#leave();
    else if (this.#channel && !this.#application) this.#apply(this.#channel.name);
    if (this.#name) this.say({ watches, from: this.#name });
    if (watches.length && this.#leads)
      streams.follow([...new Set([...watches, ...[...this.#others.values()].flat()])]);
  }

  /** To all other tabs. */
  say(message) {
    if (!this.#parts.signal.aborted) this.#channel?.postMessage(message);
  }

  /** Shares the streams with other tabs from now on. */
  share() {
    const { posts, reads, settings, user: me } = this.#parts;
    this.#leads = false;
    this.#channel = new BroadcastChannel(`onetap ${settings.base} ${settings.recent}`);
    this.#channel.onmessage = ({ data: { summary, wrote, user, watches, from, beat } }) => {
      // Only the leading tab says anything else.
      if (!watches && !wrote) this.#missed = 0;
      const post = posts.get(wrote ?? summary?.post_id);
      if (post && summary) posts.learn(post, summary, false, -1);
      // Whether `me` is the same user there, only the service knows.
      if (post && wrote && user === me) reads.read(wrote);
      if (watches && this.#leads) this.#hear(from, watches);
      else if (!watches && !summary && !wrote && !beat) this.relisten();
    };
  }

  /** Gives the streams up, which the service does not give to this tab. */
  withdraw() {
    if (this.#application) this.#leave();
  }

  /** Says and hears nothing more. */
  close() {
    this.#channel?.close();
  }

  /**
   * Applies for the lead, which the browser hands on when a tab leaves, closes or crashes. A lock
   * of its own shows that the application stands. @param {string} lead
   */
  #apply(lead, steal = false) {
    const { signal } = (this.#application = new AbortController());
    const name = `${lead} ${newKey()}`;
    this.#missed = 0;
    const beat = setInterval(() => {
      if (this.#leads) this.say({ beat: true });
      else if ((this.#missed += 1) > MOST_MISSED) {
        // The leading tab stands still: a dialog, a breakpoint.
        this.#leave();
        this.#apply(lead, true);
      }
    }, BEAT_MS);
    signal.addEventListener('abort', () => clearInterval(beat));
    const start = () => {
      if (signal.aborted) return undefined;
      this.#name = undefined;
      this.#leads = true;
      this.say({}); // Asks what the others watch.
      this.relisten();
      return new Promise((resolve) => signal.addEventListener('abort', resolve));
    };
    const stand = () => {
      this.#name = name;
      this.relisten();
      return navigator.locks.request(lead, steal ? { steal } : { signal }, start);
    };
    navigator.locks.request(name, { signal }, stand).catch((error) => {
      if (signal.aborted) return;
      // Unless another tab has taken the lead over, a page may have no locks, such as a sandboxed
      // one: it does it alone.
      if (error.name !== 'AbortError') {
        this.#channel?.close();
        this.#channel = undefined;
      }
      this.#leave();
      this.relisten();
    });
  }

  /** Gives the lead up, or the wait for it. */
  #leave() {
    this.#parts.streams.hush();
    this.#others.clear();
    this.#leads = !this.#channel;
    this.#name = undefined;
    this.#application?.abort();
    this.#application = undefined;
  }

  /** What another tab watches, until it gives up its lock. */
  #hear(name, watches) {
    if (!this.#others.has(name)) {
      const forget = () => {
        this.#others.delete(name);
        this.relisten();
      };
      const { signal } = /** @type {AbortController} */ (this.#application);
      navigator.locks.request(name, { signal }, forget).catch(() => {});
    }
    this.#others.set(name, watches);
    this.relisten();
  }
}
