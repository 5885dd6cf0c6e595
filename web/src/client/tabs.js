// Shares streams between tabs: one tab leads, holds them, and passes on their events.

import { newKey } from './ids.js';
import { GATHER_MS } from './reads.js';

/** @import {Parts} from '../internal.d.ts' */

/** How often the leader sends a heartbeat, and how many of them may be missing. */
const BEAT_MS = 2_000;
const MOST_MISSED = 2;

export class Tabs {
  /** @type {Parts} */
  #parts;
  #timer;
  /** @type {BroadcastChannel | undefined} */
  #channel;
  /** Whether this tab leads, so holds the streams. */
  #leads = true;
  /** Ends this tab's application for the lead. @type {AbortController | undefined} */
  #application;
  /** The name of this tab's lock, which it tells the leader. @type {string | undefined} */
  #name;
  /** What other tabs watch. @type {Map<string, string[]>} */
  #others = new Map();
  /** Heartbeats of the leader that are missing. */
  #missed = 0;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Checks soon which posts need a stream, because something may have changed. */
  relisten() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.tend(), GATHER_MS);
  }

  /** Drops posts that nobody needs. Then follows the others, applies for the lead, or leaves. */
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

  /** Sends a message to all other tabs. */
  say(message) {
    if (!this.#parts.signal.aborted) this.#channel?.postMessage(message);
  }

  /** Shares the streams with other tabs from now on. */
  share() {
    const { posts, reads, settings, user: me } = this.#parts;
    this.#leads = false;
    this.#channel = new BroadcastChannel(`onetap ${settings.base} ${settings.recent}`);
    this.#channel.onmessage = ({ data: { summary, wrote, user, watches, from, beat } }) => {
      // Any other message comes from the leader, so it counts as a heartbeat.
      if (!watches && !wrote) this.#missed = 0;
      const post = posts.get(wrote ?? summary?.post_id);
      if (post && summary) posts.learn(post, summary, false, -1);
      // Only the service knows whether `me` is the same user there, so read again.
      if (post && wrote && user === me) reads.read(wrote);
      if (watches && this.#leads) this.#hear(from, watches);
      else if (!watches && !summary && !wrote && !beat) this.relisten();
    };
  }

  /** Gives up the lead, after the service has refused this tab's stream. */
  withdraw() {
    if (this.#application) this.#leave();
  }

  /** Stops all messages. */
  close() {
    this.#channel?.close();
  }

  /**
   * Applies for the lead. The browser hands the lead on when a tab leaves, closes or crashes. A
   * lock of this tab's own shows the leader that the tab is there. @param {string} lead
   */
  #apply(lead, steal = false) {
    const { signal } = (this.#application = new AbortController());
    const name = `${lead} ${newKey()}`;
    this.#missed = 0;
    const beat = setInterval(() => {
      if (this.#leads) this.say({ beat: true });
      else if ((this.#missed += 1) > MOST_MISSED) {
        // The leader does not run: a dialog or a breakpoint holds it.
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
      // AbortError: another tab has stolen the lead. Any other error: this page may not use locks,
      // such as a sandboxed one, so it opens its own streams.
      if (error.name !== 'AbortError') {
        this.#channel?.close();
        this.#channel = undefined;
      }
      this.#leave();
      this.relisten();
    });
  }

  /** Gives up the lead, or the application for it. */
  #leave() {
    this.#parts.streams.hush();
    this.#others.clear();
    this.#leads = !this.#channel;
    this.#name = undefined;
    this.#application?.abort();
    this.#application = undefined;
  }

  /** Notes what another tab watches, until that tab releases its lock. */
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
