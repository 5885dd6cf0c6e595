/** The phones of the demo: their bad network, what their users meant, and the forum that onetap is compared with. */

export const GESTURE_MS = 400;
const MOST_DELAY_MS = 800;
const SHARE_LOST = 0.1;
const SHARE_DOUBLED = 0.1;
const POLL_MS = 2_000;

/** @param {number} share */
const chance = (share) => Math.random() < share;

/** @param {AbortSignal | null} [signal] */
const delay = (signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, Math.random() * MOST_DELAY_MS);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

/** A browser may refuse to store anything: then this window alone knows. @template T @param {() => T} work */
const stored = (work) => {
  try {
    return work();
  } catch {
    return undefined;
  }
};

// What is sent as the page goes away cannot be held back: it would be lost with the page.
let leaving = false;
addEventListener('pagehide', () => (leaving = true));
addEventListener('pageshow', () => (leaving = false));

/**
 * A `fetch` that is as bad as the network. Told of every write that leaves the phone.
 * @param {{slow: boolean}} network
 * @param {() => void} onSent
 * @returns {typeof globalThis.fetch}
 */
export const phoneFetch = (network, onSent) => async (input, init = {}) => {
  const write = init.method !== undefined && init.method !== 'GET';
  if (write) onSent();
  if (!network.slow || leaving) return fetch(input, init);
  if (write && chance(SHARE_DOUBLED)) {
    onSent();
    const { signal, ...twin } = init;
    delay().then(() => fetch(input, twin)).catch(() => {});
  }
  await delay(init.signal);
  const lost = chance(SHARE_LOST);
  if (lost && chance(0.5)) throw new TypeError('lost on the way there');
  const response = await fetch(input, init);
  if (lost) {
    response.body?.cancel();
    throw new TypeError('lost on the way back');
  }
  return response;
};

const RECORD = 'onetap-demo ';
const MOST_RECORDS = 40;

/**
 * What users meant: a gesture flips what they saw at its first tap; and how many writes left their phones for it. On record for
 * a thread, so that a reload and another window know it too.
 */
export class Wishes {
  /** @type {Map<string, boolean>} */
  meant = new Map();
  /** What was tapped twice where each tap is a flip: nobody can say what that meant. @type {Set<string>} */
  twice = new Set();
  sent = 0;
  /** @type {Map<string, number>} */
  #begun = new Map();
  #flips;

  /** @param {string} name of the side and its thread @param {boolean} flips whether each tap of a gesture is a flip */
  constructor(name, flips) {
    this.record = RECORD + name;
    this.#flips = flips;
    this.isNew = !this.load();
  }

  /** Takes in what is on record. */
  load() {
    const { meant = [], twice = [], sent = 0 } = JSON.parse(stored(() => localStorage.getItem(this.record)) ?? '{}');
    [this.meant, this.twice, this.sent] = [new Map(meant), new Set(twice), sent];
    return this.tapped > 0;
  }

  /** How many buttons have been tapped. */
  get tapped() {
    return this.meant.size + this.twice.size;
  }

  #save() {
    stored(() => {
      const old = Object.keys(localStorage).filter((key) => key.startsWith(RECORD));
      if (old.length > MOST_RECORDS) for (const key of old) localStorage.removeItem(key);
      localStorage.setItem(this.record, JSON.stringify({ meant: [...this.meant], twice: [...this.twice], sent: this.sent }));
    });
  }

  /** A write has left a phone. */
  left() {
    this.sent += 1;
    this.#save();
  }

  /** What is there already was meant, for all that is known. @param {Iterable<string>} has */
  adopt(has) {
    for (const key of has) if (!this.meant.has(key) && !this.twice.has(key)) this.meant.set(key, true);
    this.isNew = false;
  }

  /** @param {string} user @param {string} post @param {string} reaction @param {boolean} seen */
  tap(user, post, reaction, seen) {
    const key = `${user} ${post} ${reaction}`;
    const now = performance.now();
    const goesOn = now - (this.#begun.get(key) ?? -Infinity) < GESTURE_MS;
    if (goesOn && !this.#flips) return;
    if (goesOn) {
      this.meant.delete(key);
      this.twice.add(key);
    } else {
      this.#begun.set(key, now);
      this.twice.delete(key);
      this.meant.set(key, !seen);
    }
    this.#save();
  }
}

/**
 * A forum that reads a row, flips it and saves it, behind the same face as onetap's client, so that the same element shows it.
 * It flips what is shown at once, and then shows what it is answered.
 */
export class NaiveClient extends EventTarget {
  /** @type {Map<string, Map<string, {count: number, mine: boolean}>>} */
  #posts = new Map();
  #user;
  #fetch;
  #timer;
  #writing = 0;
  /** @type {(() => void)[]} */
  #waiting = [];

  /** @param {{userId: string, fetch: typeof globalThis.fetch}} options */
  constructor({ userId, fetch }) {
    super();
    this.#user = userId;
    this.#fetch = fetch;
    this.#timer = setInterval(() => this.#poll(), POLL_MS);
  }

  /** @param {string} postId */
  watch(postId) {
    this.#posts.set(postId, new Map());
    return () => this.#posts.delete(postId);
  }

  /** @param {string} postId */
  state(postId) {
    const reactions = [...(this.#posts.get(postId) ?? [])].map(([reaction, state]) => ({ reaction, ...state }));
    return { postId, locked: false, reactions };
  }

  /** @param {string} postId @param {string} reaction */
  async tap(postId, reaction) {
    const wanted = !this.#posts.get(postId)?.get(reaction)?.mine;
    this.#show(postId, reaction, wanted);
    this.#writing += 1;
    try {
      const path = `demo/naive/posts/${postId}/reactions/${encodeURIComponent(reaction)}/users/${this.#user}/toggle`;
      const response = await this.#fetch(path, { method: 'POST' });
      this.#show(postId, reaction, (await response.json()).active);
    } catch {
      this.#show(postId, reaction, !wanted);
    }
    this.#writing -= 1;
    if (!this.#writing) for (const done of this.#waiting.splice(0)) done();
  }

  /** @returns {Promise<void>} */
  settled() {
    return this.#writing ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve();
  }

  close() {
    clearInterval(this.#timer);
    this.#posts.clear();
  }

  /** @param {string} postId @param {string} reaction @param {boolean} mine */
  #show(postId, reaction, mine) {
    const post = this.#posts.get(postId);
    if (!post) return;
    const state = post.get(reaction) ?? { count: 0, mine: false };
    post.set(reaction, { mine, count: Math.max(0, state.count + Number(mine) - Number(state.mine)) });
    this.#changed(postId);
  }

  /** @param {string} postId */
  #changed(postId) {
    this.dispatchEvent(new CustomEvent('onetap-change', { detail: { postId } }));
  }

  async #poll() {
    if (document.hidden || !this.#posts.size) return;
    const query = [...this.#posts.keys()].map((id) => `post_id=${id}`).join('&');
    const response = await this.#fetch(`demo/naive/posts?${query}&user_id=${this.#user}`).catch(() => undefined);
    const { posts = [] } = (await response?.json().catch(() => undefined)) ?? {};
    for (const { post_id: id, reactions } of posts) {
      if (!this.#posts.has(id)) continue;
      this.#posts.set(id, new Map(reactions.map((/** @type {any} */ r) => [r.reaction, { count: r.count, mine: r.mine }])));
      this.#changed(id);
    }
  }
}
