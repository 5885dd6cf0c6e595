// The client as a page sees it. Its parts are in the files beside this one.

import { ServiceClock } from './clock.js';
import { isUser } from './ids.js';
import { Outbox } from './outbox.js';
import { Posts } from './posts.js';
import { Reads } from './reads.js';
import { Rules } from './rules.js';
import { Service } from './service.js';
import { Streams } from './streams.js';
import { Tabs } from './tabs.js';
import { Pauses } from './waits.js';
import { Writes } from './writes.js';

/** @import {Options, Palette, Summary} from '../onetap.d.ts' */
/** @import {Answer, Parts} from '../internal.d.ts' */

/** How long a page waits before it takes over a wish that another tab has stored. */
const TAKE_OVER_MS = 10_000;

/** A constant, because bundlers resolve `new URL('…', import.meta.url)` at build time. */
const here = import.meta.url;

const DEFAULTS = {
  gestureMs: 400,
  retentionMs: 600_000,
  timeoutMs: 5_000,
  recent: 0,
  live: true,
};

export class Onetap extends EventTarget {
  /** @type {Parts} */
  #parts;
  #end = new AbortController();

  /** @param {Options} options */
  constructor(options = {}) {
    super();
    const { userId, token, baseUrl = new URL('.', here).href, outbox } = options;
    if (userId !== undefined && (token || !isUser(userId))) {
      throw new TypeError(
        `userId is an integer (above 2^53 as a string) or a text id, and excludes token: ${userId}`,
      );
    }
    const settings = { ...DEFAULTS, ...options, base: baseUrl.replace(/\/+$/, '') };
    const clock = new ServiceClock();
    const owner = outbox !== false && (userId ?? (token && outbox));
    const { signal } = this.#end;
    const emit = (type, detail) => this.dispatchEvent(new CustomEvent(type, { detail }));
    const parts = (this.#parts = /** @type {Parts} */ (
      /** @type {unknown} */ ({
        settings,
        user: token ? 'me' : userId?.toString(),
        signal,
        last: {},
        emit,
        /** @param {Answer} answer */
        tell(answer, where, last = {}) {
          if (signal.aborted || (!answer.dropped && last.told === answer.code)) return;
          last.told = answer.code;
          emit('onetap-error', { ...where, ...answer });
        },
        clock,
        pauses: new Pauses(settings.retentionMs),
        service: new Service(settings, clock),
        outbox: new Outbox(settings.base, owner, clock),
      })
    ));
    parts.posts = new Posts(parts);
    parts.rules = new Rules(parts);
    parts.reads = new Reads(parts);
    parts.streams = new Streams(parts);
    parts.tabs = new Tabs(parts);
    parts.writes = new Writes(parts);
    this.#attend();
  }

  /** Listens for events of the page: it goes away, is hidden or shown, or comes online. */
  #attend() {
    const { outbox, pauses, settings, signal, tabs, writes } = this.#parts;
    const resume = () => {
      pauses.wake();
      writes.adopt();
    };
    globalThis.addEventListener?.('online', resume, { signal });
    outbox.follow(() => setTimeout(() => writes.adopt(), TAKE_OVER_MS), signal);
    globalThis.addEventListener?.('pagehide', () => writes.depart(), { signal });
    globalThis.document?.addEventListener('visibilitychange', () => this.#turn(), { signal });
    // A client with its own `fetch` may reach another service than other tabs: it shares nothing.
    if (globalThis.navigator?.locks && globalThis.BroadcastChannel && !settings.fetch) tabs.share();
    writes.adopt();
  }

  #turn() {
    const { pauses, posts, reads, tabs, writes } = this.#parts;
    // The browser may kill a hidden page. While it was hidden, its user may have tapped elsewhere.
    pauses.wake();
    tabs.tend();
    if (document.visibilityState === 'hidden') return;
    for (const id of posts.ids()) reads.read(id);
    writes.adopt();
  }

  /** @param {string} postId @param {Summary} [initial] */
  watch(postId, initial) {
    const { posts, reads, tabs } = this.#parts;
    const post = posts.post(postId);
    if (!post) return () => {};
    post.watchers += 1;
    if (initial) {
      post.known = true;
      const mine = initial.reactions.some((r) => r.mine !== undefined);
      posts.learn(post, initial, mine, -1);
    }
    reads.read(post.id);
    tabs.relisten();
    let watching = 1;
    return () => {
      post.watchers -= watching;
      watching = 0;
      tabs.relisten();
    };
  }

  /** @param {string} postId */
  state(postId) {
    return this.#parts.posts.state(postId);
  }

  async palettes() {
    return this.#parts.rules.load();
  }

  /** @param {string} postId */
  palette(postId) {
    return /** @type {Palette | undefined} */ (this.#parts.rules.judge.of(this.#post(postId)));
  }

  /** @param {string} postId @param {string} reaction */
  counted(postId, reaction) {
    return this.#parts.rules.judge.meant(this.#post(postId), reaction);
  }

  /** @param {string} postId @param {string} reaction @returns {string | undefined} */
  refusal(postId, reaction) {
    return this.#parts.rules.judge.refusal(this.#post(postId), reaction) ?? undefined;
  }

  #post(postId) {
    return this.#parts.posts.get(postId.toLowerCase());
  }

  /** @param {string} postId @param {string} reaction */
  tap(postId, reaction, at = performance.now()) {
    this.#parts.writes.tap(postId, reaction, at);
  }

  /** @param {string} postId @param {string} reaction @param {boolean} active */
  wish(postId, reaction, active) {
    this.#parts.writes.wish(postId, reaction, () => active);
  }

  /** @param {string} postId @param {{reaction?: string, limit?: number, cursor?: string}} query */
  async reactors(postId, query = {}) {
    return this.#parts.reads.reactors(postId, query);
  }

  now() {
    return this.#parts.clock.now() ?? Date.now();
  }

  async settled() {
    await this.#parts.writes.settled();
  }

  close() {
    const { pauses, tabs, writes } = this.#parts;
    writes.flush();
    this.#end.abort();
    tabs.tend();
    tabs.close();
    pauses.wake();
  }
}
