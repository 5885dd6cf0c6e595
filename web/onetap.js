// onetap in the browser: sends what the user meant, shows it at once, and what others tap, live.
// What each call promises: onetap.d.ts. Why it is done this way: web/README.md.
//
// All taps of a gesture are one wish, so the first is sent at once: as on (PUT) or off (DELETE),
// with an Idempotency-Key. A write without an answer may still be counted, however late it arrives.
// So it is repeated with its key until it is answered, even if the user has changed their mind:
// then late copies change nothing. Only then the newest wish goes; earlier, it could be undone by
// them. What has no answer is in the browser's storage too, for the next page of the site.

/** @import {Options, PostState, ReactionState, Summary} from './onetap.d.ts' */
/** @import {Answer, Cell, Moment, Post, Stream, Wish} from './internal.d.ts' */

const POSTS_PER_CALL = 100;
/** Of the six connections that a browser has to a host over HTTP/1.1, for all tabs. */
const MOST_STREAMS = 3;
/** How long some posts have the last stream, if there are more than it can take at once. */
const TURN_MS = 5_000;
/** Lets the elements of a page gather. */
const GATHER_MS = 20;
/** The service says something every 15 s: a stream that is silent for so long is dead. */
const STREAM_IDLE_MS = 40_000;
/** How often a list is asked for that somebody waits for. */
const READS = 3;
const BACKOFF_MS = 1_000;
const BACKOFF_MOST_MS = 30_000;
const RETRY_AFTER_MOST_MS = 60_000;
/** Clocks that differ by more were set, or stood still while the device slept. */
const JUMP_MS = 2_000;
/** Wishes that one page keeps in storage; and how long another leaves them to it. */
const MOST_KEPT = 100;
const TAKE_OVER_MS = 10_000;
/** How often the tab with the streams says that it runs, and how often it may fail to. */
const BEAT_MS = 2_000;
const MOST_MISSED = 2;

const UUID = /^(?=.*[1-9a-f])[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
/** Checked because `..` would be another address. */
const REACTION = /^[a-z\d+-][\w+-]{0,31}$|[^\0-\x7f]/;
/** Half of a character has no address. @param {string} text */
const isReaction = (text) => REACTION.test(text) && text.isWellFormed();

/** @param {string} reaction */
export const reactionKey = (reaction) => reaction.replaceAll('\uFE0F', '');

/** JavaScript rounds numbers above 2^53. */
const exactly = (pattern, n) =>
  pattern.test(String(n)) && (typeof n !== 'number' || Number.isSafeInteger(n));

/** @param {number | bigint | string} n */
export function postIdFromInteger(n) {
  const integer = exactly(/^\d+$/, n) ? BigInt(n) : -1n;
  if (integer >> 62n) throw new RangeError(`an integer from 0 to 2^62 - 1: ${n}`);
  const hex = (integer | (1n << 63n)).toString(16);
  return `6f6e6574-6170-8000-${hex.slice(0, 4)}-${hex.slice(4)}`;
}

/** @param {string} id */
export function integerFromPostId(id) {
  const hex = /^6f6e6574-6170-8000-([89ab][\da-f]{3})-([\da-f]{12})$/i.exec(id);
  return hex && BigInt.asUintN(62, BigInt(`0x${hex[1]}${hex[2]}`));
}

/** `crypto.randomUUID` is for secure pages alone. */
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join('-');

const stamp = () => ({ since: performance.now(), at: Date.now() });

/** Whether the two clocks have gone on together since. @param {Moment} moment */
const steady = ({ since, at }) => Math.abs(Date.now() - at - performance.now() + since) < JUMP_MS;

/** What `work` comes to, or a rejection after `ms`, even if it never settles. */
const within = (ms, controller, work) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`nothing within ${ms} ms`));
      controller.abort();
    }, ms);
    Promise.resolve()
      .then(work)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });

/**
 * The data of each event of a `text/event-stream`, whatever the chunks that it comes in.
 * `onRetry` gets the wait before a reconnect that the service asks for.
 */
async function* serverSentEvents(body, controller, onRetry) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const data = [];
  for (let rest = ''; ;) {
    const { done, value } = await within(STREAM_IDLE_MS, controller, () => reader.read());
    if (done) return;
    // A CR at the end may be half of a CRLF: it waits for what comes next.
    const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(5));
      if (/^retry: ?\d+$/.test(line)) onRetry(Number(line.slice(6)));
      if (!line && data.length) yield data.splice(0).join('\n');
    }
  }
}

const isSummary = ({ reactions }) => reactions.every((r) => r.reaction.at(0) && r.count >= 0);

/** @param {Cell} cell */
const shown = ({ wish, mine, count }) => {
  const active = wish ? wish.active : mine;
  return { mine: active, count: Math.max(0, count + Number(active) - Number(mine)) };
};

export class Onetap extends EventTarget {
  #options;
  #base;
  /** As addresses name the user: an id, `me`, or nobody. */
  #user;
  /** @type {Map<string, Post>} */
  #posts = new Map();
  /** Counts what is learned, to know what was asked for later. */
  #clock = 0;
  /** By post. @type {Map<string, Promise<string>>} */
  #tokens = new Map();
  /** Posts to be read. @type {Set<string>} */
  #needs = new Set();
  #reading = false;
  /** Pauses that may be ended early. @type {Set<() => void>} */
  #pauses = new Set();
  /** Those with a wish, and what brings it to the service. @type {Map<Cell, Promise<void>>} */
  #pending = new Map();
  /** What was told last of reads and streams. @type {any} */
  #last = {};
  #end = new AbortController();
  #back;
  /** How the names of this user's wishes in storage begin. */
  #outbox = '';
  /** What the service's clock showed last, and when. @type {Moment | undefined} */
  #heard;
  /** Asking for that. @type {Promise<Answer> | undefined} */
  #hearing;

  /** @param {Options} options */
  constructor(options = {}) {
    super();
    const { userId, token, baseUrl = new URL('.', import.meta.url).href, outbox } = options;
    if (userId !== undefined && (token || !exactly(/^[1-9]\d{0,18}$/, userId))) {
      throw new TypeError(
        `userId is 1 to 2^63 - 1, above 2^53 as a string, and excludes token: ${userId}`,
      );
    }
    this.#options = {
      gestureMs: 400,
      retentionMs: 600_000,
      timeoutMs: 5_000,
      recent: 0,
      live: true,
      ...options,
    };
    this.#base = baseUrl.replace(/\/+$/, '');
    this.#user = token ? 'me' : userId?.toString();
    const name = outbox !== false && (userId ?? (token && outbox));
    try {
      const url = new URL(`${this.#base}/`, document.baseURI);
      if (name) this.#outbox = `onetap-outbox ${url} ${encodeURIComponent(String(name))} `;
    } catch {
      // Not in a page.
    }
    const { signal } = this.#end;
    const resume = () => {
      this.#wake();
      this.#adopt();
    };
    globalThis.addEventListener?.('online', resume, { signal });
    const onStorage = ({ key, newValue }) => {
      if (newValue && key.startsWith(this.#outbox)) setTimeout(() => this.#adopt(), TAKE_OVER_MS);
    };
    if (this.#outbox) addEventListener('storage', onStorage, { signal });
    const depart = () => {
      this.#flush();
      // Nothing older may be repeated after that, unless the page comes back.
      this.#back = new Promise((resolve) => addEventListener('pageshow', resolve, { once: true }));
    };
    globalThis.addEventListener?.('pagehide', depart, { signal });
    globalThis.document?.addEventListener('visibilitychange', () => this.#turn(), { signal });
    // A client with a fetch of its own may see another network than other tabs do.
    if (globalThis.navigator?.locks && globalThis.BroadcastChannel && !options.fetch) this.#share();
    this.#adopt();
  }

  // ---- What a page calls

  /** @param {string} postId @param {Summary} [initial] */
  watch(postId, initial) {
    const post = this.#post(postId);
    if (!post) return () => {};
    post.watchers += 1;
    if (initial) {
      post.known = true;
      const mine = initial.reactions.some((r) => r.mine !== undefined);
      this.#learn(post, initial, mine, -1);
    }
    this.#read(post.id);
    this.#relisten();
    let watching = 1;
    return () => {
      post.watchers -= watching;
      watching = 0;
      this.#relisten();
    };
  }

  /** @param {string} postId */
  state(postId) {
    const post = this.#posts.get(postId.toLowerCase());
    return post && (post.known || (post.cells.size && !post.adopted))
      ? this.#state(post)
      : undefined;
  }

  /** @param {string} postId @param {string} reaction */
  tap(postId, reaction, at = performance.now()) {
    this.#wish(postId, reaction, (cell) => {
      if (at < cell.gestureEnd) return undefined;
      cell.gestureEnd = at + this.#options.gestureMs;
      return !shown(cell).mine;
    });
  }

  /** @param {string} postId @param {string} reaction @param {boolean} active */
  wish(postId, reaction, active) {
    this.#wish(postId, reaction, () => active);
  }

  /** @param {string} postId @param {{reaction?: string, limit?: number, cursor?: string}} query */
  async reactors(postId, { reaction, limit, cursor } = {}) {
    const query = new URLSearchParams();
    if (limit) query.set('limit', String(limit));
    if (cursor) query.set('cursor', cursor);
    const of = reaction ? `/reactions/${encodeURIComponent(reaction)}` : '';
    const path = `/${postId}${of}/users?${query}`;
    for (let tries = 1; ; tries += 1) {
      const answer = await this.#ask(path, [postId], (body) => body.users.map);
      const { users, next_cursor } = answer.body ?? {};
      if (users) return { users: users.map((user) => ({ reaction, ...user })), next_cursor };
      if (answer.dropped || tries === READS) {
        throw Object.assign(new Error(), { postId, reaction }, answer);
      }
      await this.#pause(tries - 1, answer.retryMs);
    }
  }

  now() {
    return this.#now() ?? Date.now();
  }

  async settled() {
    while (this.#pending.size) await Promise.all(this.#pending.values());
  }

  close() {
    this.#flush();
    this.#end.abort();
    this.#tend();
    this.#channel?.close();
    this.#wake();
  }

  // ---- What is known

  /** @param {string} postId */
  #post(postId) {
    const id = postId.toLowerCase();
    let post = this.#posts.get(id);
    if (!post && UUID.test(id)) {
      post = {
        id,
        watchers: 0,
        revision: 0,
        mineRevision: 0,
        seen: 0,
        cells: new Map(),
        order: [],
      };
      this.#posts.set(id, post);
    }
    if (!post)
      this.#tell(
        { code: 'invalid_post_id', message: `not a UUID: ${postId}`, dropped: true },
        { postId },
      );
    return post;
  }

  /** @param {Post} post @param {string} reaction */
  #cell(post, reaction) {
    const key = reactionKey(reaction);
    let cell = post.cells.get(key);
    if (!cell) {
      const { revision, mineRevision, seen } = post;
      cell = {
        post,
        reaction,
        count: 0,
        mine: false,
        recent: [],
        revision,
        mineRevision,
        seen,
        sent: [],
        gestureEnd: 0,
      };
      post.cells.set(key, cell);
    }
    return cell;
  }

  /**
   * `mine`: whether it speaks of the user. `began`: the clock when it was asked for, or -1.
   * @param {Post} post
   */
  #learn(post, summary, mine, began) {
    if (!mine && this.#user && !post.known) {
      // Not before it is known what the user has: a tap on what they have would mean to give it.
      post.early = () => this.#learn(post, summary, mine, began);
      return;
    }
    const { reactions, locked = false, revision = 0 } = summary;
    const told = new Map(reactions.map((r) => [reactionKey(r.reaction), r]));
    for (const r of told.values()) this.#cell(post, r.reaction).reaction = r.reaction;
    for (const [key, cell] of post.cells) {
      const { count = 0, recent = [], mine: own = false } = told.get(key) ?? {};
      // A count of nothing means that nobody has it, whatever the answer says of the user.
      const flag = mine || !count ? own : undefined;
      const take = () => this.#take(cell, { revision, count, recent, mine: flag }, began);
      // Else the count may have the own write in it or not: it waits for the answer.
      if (cell.wish && flag === undefined) cell.held = take;
      else take();
    }
    if (post.seen <= began || revision >= post.revision) {
      Object.assign(post, {
        known: true,
        locked,
        revision,
        order: [...told.keys()],
        seen: ++this.#clock,
      });
      if (mine) post.mineRevision = revision;
    }
    const { early } = post;
    post.early = undefined;
    if (early) early();
    else this.#show(post);
  }

  /**
   * Takes what is not older than what is known, by its revision, or because it was asked for
   * later, which holds even if a failover has set the service's clock back.
   * @param {Cell} cell
   */
  #take(cell, { revision, count, recent = cell.recent, mine }, began) {
    const { seen } = cell;
    if (seen <= began || revision >= cell.revision) {
      Object.assign(cell, { revision, count, recent, seen: ++this.#clock });
    }
    if (mine !== undefined && (seen <= began || revision >= cell.mineRevision)) {
      Object.assign(cell, { mineRevision: revision, mine, seen: ++this.#clock });
    }
  }

  /** @param {Post} post @returns {PostState} */
  #state(post) {
    /** @type {ReactionState[]} */
    const reactions = [];
    let { id, revision, locked = false, order, cells } = post;
    let total = 0;
    for (const key of new Set([...order, ...cells.keys()])) {
      const cell = /** @type {Cell} */ (cells.get(key));
      const { mine, count } = shown(cell);
      const { reaction, wish, recent } = cell;
      revision = Math.max(revision, cell.revision);
      total += count;
      if (count || wish) reactions.push({ reaction, count, mine, pending: !!wish, recent });
    }
    return { postId: id, revision, locked, total, reactions };
  }

  /** Tells what there is to see, if that has changed. @param {Post} post */
  #show(post) {
    const detail = this.state(post.id);
    if (!detail) return;
    const text = JSON.stringify({ ...detail, revision: 0 });
    if (text === post.shown || this.#end.signal.aborted) return;
    post.shown = text;
    this.dispatchEvent(new CustomEvent('onetap-change', { detail }));
  }

  // ---- Writing

  #wish(postId, reaction, decide) {
    const post = this.#post(postId);
    if (!post || this.#end.signal.aborted) return;
    if (!this.#user || !isReaction(reaction)) {
      const [code, message] = this.#user
        ? ['invalid_reaction', `neither a name nor an emoji: ${reaction}`]
        : ['unauthenticated', 'whose tap? neither userId nor token was given'];
      this.#tell({ code, message, dropped: true }, { postId, reaction });
      return;
    }
    const cell = this.#cell(post, reaction);
    const active = decide(cell);
    if (active === undefined || active === shown(cell).mine) return;
    // What other tabs have begun goes first.
    this.#adopt(post.id);
    post.adopted = false;
    const { sent, wish } = cell;
    if (wish && !sent.includes(wish)) this.#forget(wish);
    // What the write in flight says already needs no second one.
    cell.wish =
      sent.length === 1 && sent[0].active === active
        ? sent[0]
        : this.#keep(cell, active, Math.ceil(sent.at(-1)?.n ?? 0) + 1);
    this.#show(post);
    this.#wake();
    this.#begin(cell);
  }

  /** @param {Cell} cell */
  #begin(cell) {
    if (!this.#pending.has(cell)) this.#pending.set(cell, this.#deliver(cell));
  }

  /** Sends wishes until there is none. @param {Cell} cell */
  async #deliver(cell) {
    const { post, reaction, sent } = cell;
    const where = { postId: post.id, reaction };
    while (cell.wish && !this.#end.signal.aborted) {
      if (!sent.length) sent.push(cell.wish);
      const [wish] = sent;
      const answer = await this.#answer(cell, wish, where);
      if (answer.body || answer.dropped) this.#forget(wish);
      sent.shift();
      if (cell.wish !== wish) continue;
      cell.wish = undefined;
      cell.held?.();
      cell.held = undefined;
      if (!answer.body) {
        this.#read(post.id);
        if (answer.code) this.#tell(answer, where);
      }
      this.#show(post);
    }
    this.#pending.delete(cell);
    this.#relisten();
  }

  /**
   * Repeats a write until it is answered.
   * @param {Cell} cell @param {Wish} wish @returns {Promise<Answer>}
   */
  async #answer(cell, wish, where) {
    const { id } = cell.post;
    const left = () => this.#left(wish);
    for (let tries = 0; ; tries += 1) {
      // Another tab has taken it to the service.
      if (wish.adopted && this.#store((storage) => !storage.getItem(wish.name))) return {};
      /** @type {Answer | undefined} */
      let answer;
      if (left() > 0 && !steady(wish)) {
        if (!this.#now()) {
          this.#hearing ??= this.#ask(`/${id}/reactions`, [id], isSummary);
          answer = await this.#hearing;
          this.#hearing = undefined;
        }
        if (!answer || answer.body || answer.problem) {
          answer = undefined;
          this.#date(wish);
        }
      }
      if (!(left() > 0))
        return { code: 'wish_expired', message: 'its key is no longer kept', dropped: true };
      if (!answer) {
        const began = this.#clock;
        answer = await this.#send(cell, wish);
        if (answer.body) {
          const { revision, count, active: mine } = answer.body;
          this.#take(cell, { revision, count, mine }, answer.replayed ? -1 : began);
          this.#say({ wrote: id, user: this.#user });
        }
        if (answer.body || answer.dropped) return answer;
      }
      if (this.#end.signal.aborted) return { ...answer, dropped: false };
      this.#tell(answer, where, wish);
      await this.#pause(tries, answer.retryMs, left());
      await this.#back;
    }
  }

  /** How long it may still be sent: a repeat has to arrive while its key is on record. */
  #left({ since }) {
    return since + this.#options.retentionMs - this.#options.timeoutMs - performance.now();
  }

  /** @param {Cell} cell @param {Wish} wish */
  #send({ post, reaction }, { active, key }) {
    const path = `/${post.id}/reactions/${encodeURIComponent(reaction)}/users/${this.#user}`;
    const whole = (body) => body.active !== undefined && body.count >= 0 && body.revision > 0;
    const method = active ? 'PUT' : 'DELETE';
    return this.#ask(path, [post.id], whole, { method, key });
  }

  /**
   * Sends what waits, for there may be no later. A newer wish overtakes an unanswered one here,
   * under a key for this once: it has to be sent again behind that.
   */
  #flush() {
    for (const cell of this.#pending.keys()) {
      const { wish, sent } = cell;
      let last = sent.at(-1);
      // Of one that is too old, or whose age is in doubt, the key may be gone.
      if (!wish || !steady(last ?? wish) || !(this.#left(last ?? wish) > 0)) continue;
      // Another tab has brought it to the service.
      if (wish.stored && this.#store((storage) => !storage.getItem(wish.name))) continue;
      if (last?.active !== wish.active || (last === wish && sent[1])) {
        const [at, own] = [last === wish ? sent.length - 1 : sent.length, wish.n - 0.5];
        last = this.#keep(cell, wish.active, own);
        sent.splice(at, 0, last);
      }
      this.#send(cell, last);
    }
  }

  // ---- Wishes that outlive their page

  /** Without storage, or if it is full, a wish lives as long as its page. */
  #store(work) {
    try {
      return this.#outbox ? work(localStorage) : undefined;
    } catch {
      return undefined;
    }
  }

  /** @param {Wish} wish */
  #put(wish) {
    const text = JSON.stringify(wish, ['reaction', 'active', 'n', 'made', 'served', 'adopted']);
    wish.stored = this.#store((storage) => storage.setItem(wish.name, text) ?? true);
  }

  /** A new wish, in storage before anything is awaited. @param {Cell} cell @returns {Wish} */
  #keep({ post, reaction }, active, n) {
    const key = newKey();
    const name = `${this.#outbox}${post.id} ${key}`;
    const now = stamp();
    const wish = { reaction, active, key, name, n, made: now.at, served: this.#now(), ...now };
    if (this.#pending.size < MOST_KEPT) this.#put(wish);
    return wish;
  }

  /** @param {Wish} wish */
  #forget({ name }) {
    this.#store((storage) => storage.removeItem(name));
  }

  /**
   * Takes over what other pages, which may be gone, have not brought to the service. A mark says
   * so to them: what may have been sent has to be answered before anything newer goes.
   */
  #adopt(postId = '') {
    if (this.#end.signal.aborted) return;
    /** @type {(Wish & { id: string })[]} */
    const found = [];
    this.#store((storage) => {
      for (const name of Object.keys(storage)) {
        if (!name.startsWith(this.#outbox + postId)) continue;
        try {
          const [id, key] = name.slice(this.#outbox.length).split(' ');
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
    found.sort((a, b) => a.n - b.n);
    for (const { id, adopted, ...kept } of found) {
      const cell = this.#cell(/** @type {Post} */ (this.#post(id)), kept.reaction);
      const { post, sent, wish } = cell;
      const own = wish?.key === kept.key;
      if (sent.some(({ key }) => key === kept.key) || (own && !adopted)) continue;
      // An own wish is sent first if it is older, or if another page may have sent it.
      if (wish && !sent.includes(wish)) sent.push(wish);
      // The others wait for the next look.
      if (own || (!wish && this.#pending.size >= MOST_KEPT)) continue;
      cell.wish = { ...kept, stored: true, adopted: true, since: performance.now(), at: NaN };
      sent.push(cell.wish);
      if (!adopted) this.#put(cell.wish);
      if (!post.known && !post.shown) post.adopted = true;
      this.#show(post);
      this.#begin(cell);
    }
  }

  // ---- How old a wish is, by clocks of which none is right all the time

  /** The service's time, unless a clock of ours has been set since it was heard, or stood still. */
  #now() {
    const heard = this.#heard;
    return heard?.served && steady(heard)
      ? heard.served + performance.now() - heard.since
      : undefined;
  }

  /**
   * Sets the beginning of a wish anew, on today's clocks. The service's clock decides where it is
   * known: ours may have been set, and that of this page stands still in the device's sleep.
   * @param {Wish} wish
   */
  #date(wish) {
    const here = performance.now() - wish.since;
    // Of a wish of another page, this page's clock says nothing.
    const own = Number.isNaN(wish.at) ? Date.now() - wish.made : here;
    const told = (this.#now() ?? NaN) - (wish.served ?? NaN);
    let age = own < 0 ? Infinity : own;
    // The header has whole seconds, and the way of an answer takes time.
    if (Math.abs(told - own) > JUMP_MS) age = told + 1000 + this.#options.timeoutMs;
    age = Math.max(age, here);
    Object.assign(wish, { since: performance.now() - age, at: Date.now() - age });
  }

  // ---- Reading

  #read(id) {
    this.#needs.add(id);
    if (!this.#reading) this.#readAll();
  }

  async #readAll() {
    this.#reading = true;
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    for (let tries = 0; this.#needs.size && !this.#end.signal.aborted;) {
      const ids = [...this.#needs].slice(0, POSTS_PER_CALL);
      const began = this.#clock;
      const query = this.#query(ids);
      if (this.#options.userId) query.set('user_id', String(this.#user));
      for (const id of ids) this.#needs.delete(id);
      const answer = await this.#ask(`/reactions?${query}`, ids, (body) =>
        body.posts.every(isSummary),
      );
      for (const summary of answer.body?.posts ?? []) {
        const post = this.#posts.get(summary.post_id);
        if (post) this.#learn(post, summary, !!this.#user, began);
        this.#last.told = undefined;
        tries = 0;
      }
      if (answer.body) continue;
      for (const id of ids) {
        const post = this.#posts.get(id);
        // The service cannot be asked: what another page left behind is shown on its own.
        if (post?.adopted) {
          post.adopted = false;
          this.#show(post);
        }
      }
      this.#tell(answer, {}, this.#last);
      if (answer.dropped) continue;
      for (const id of ids) if (this.#posts.has(id)) this.#needs.add(id);
      await this.#pause(tries++, answer.retryMs);
    }
    this.#reading = false;
  }

  #query(ids) {
    const query = new URLSearchParams(ids.map((id) => ['post_id', id]));
    query.set('recent', String(this.#options.recent));
    return query;
  }

  // ---- Asking the service

  /**
   * One attempt; never rejects. `whole` knows a body of the service. A token that is refused is
   * asked for again, once.
   * @returns {Promise<Answer>}
   */
  async #ask(
    path,
    ids,
    whole,
    { method = 'GET', key = '', controller = new AbortController() } = {},
  ) {
    const { fetch = globalThis.fetch, token, timeoutMs } = this.#options;
    for (let asked = !token; ; asked = true) {
      const headers = {};
      let failed = 'token_failed';
      try {
        if (token) headers.Authorization = `Bearer ${await this.#token(ids, token)}`;
        if (key) headers['Idempotency-Key'] = key;
        failed = 'network_error';
        const answer = await within(timeoutMs, controller, async () => {
          const response = await fetch(`${this.#base}/v1/posts${path}`, {
            method,
            headers,
            signal: controller.signal,
            keepalive: !!key, // A write outlives its page.
            redirect: 'manual', // To a login page or a portal, which are no answers of ours.
            cache: 'no-store', // In Firefox an equal request waits for the first one's end.
          });
          failed = 'unexpected_answer';
          const streams = response.headers.get('Content-Type')?.startsWith('text/event-stream');
          const body = streams ? response.body : await response.json().catch(() => {});
          return this.#judge(response, body, whole);
        });
        if (answer.status !== 401 || asked) return answer;
        this.#tokens.clear();
      } catch (error) {
        return { code: failed, message: String(error), dropped: false };
      }
    }
  }

  /** What has no code of the service decides nothing: a proxy's, a portal's, another service's. */
  #judge({ ok, status, headers }, body, whole) {
    const problem = status >= 400 && /^[a-z_]+$/.test(body?.code ?? '') ? body : undefined;
    const known = ok && body && whole(body);
    const date = Date.parse(headers.get('Date'));
    if (date && (problem || known)) this.#heard = { ...stamp(), served: date };
    if (known) return { body, replayed: headers.has('Idempotency-Replayed') };
    const code = problem?.code ?? (status >= 400 ? `http_${status}` : 'unexpected_answer');
    const after = headers.get('Retry-After');
    // Seconds, or a date of three forms, always in GMT, by the clock of who answers.
    const until = Date.parse(after?.replace(/( GMT)?$/, ' GMT')) - (date || Date.now());
    const retryMs = Math.min(
      RETRY_AFTER_MOST_MS,
      /^\d/.test(after) ? parseFloat(after) * 1000 : Math.max(0, until) || 0,
    );
    return {
      code,
      message: problem?.detail ?? `status ${status}`,
      dropped: !!problem && status < 500 && status !== 408 && status !== 429,
      status,
      problem,
      retryMs,
    };
  }

  #token(ids, ask) {
    const [kept, ...others] = new Set(ids.map((id) => this.#tokens.get(id)));
    if (kept && !others.length) return kept;
    const token = within(this.#options.timeoutMs, new AbortController(), () => ask([...ids]));
    for (const id of ids) this.#tokens.set(id, token);
    token.catch(() => this.#tokens.clear());
    return token;
  }

  /** Of what is tried again, tells only once. @param {Answer} answer */
  #tell(answer, where, last = {}) {
    if (this.#end.signal.aborted || (!answer.dropped && last.told === answer.code)) return;
    last.told = answer.code;
    this.dispatchEvent(new CustomEvent('onetap-error', { detail: { ...where, ...answer } }));
  }

  /**
   * Longer each time, and by chance, so that phones do not all come back at one moment. `#wake`
   * ends it early, but not where the service has asked for time.
   * @returns {Promise<void>}
   */
  #pause(tries, retryMs = 0, most = this.#options.retentionMs, base = BACKOFF_MS) {
    const backoff = Math.random() * Math.min(BACKOFF_MOST_MS, base * 2 ** tries);
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#pauses.delete(end);
        resolve();
      };
      // A last attempt goes out well before the end.
      const timer = setTimeout(end, Math.min(most, retryMs + Math.min(backoff, most / 2 + 100)));
      if (!retryMs) this.#pauses.add(end);
    });
  }

  #wake() {
    for (const end of this.#pauses) end();
  }

  // ---- Other people's taps: streams for all posts, and for all tabs

  /** Those that are open, or being opened, each with its posts. @type {Stream[]} */
  #streams = [];
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

  #relisten() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tend(), GATHER_MS);
  }

  #turn() {
    // A hidden page may be killed; and while it was hidden, its user may have tapped elsewhere.
    this.#wake();
    this.#tend();
    if (document.visibilityState === 'hidden') return;
    for (const id of this.#posts.keys()) this.#read(id);
    this.#adopt();
  }

  /** Forgets what nobody needs; brings the streams to none, another tab's, or ours for all. */
  #tend() {
    for (const { id, watchers, cells } of this.#posts.values()) {
      if (watchers || [...cells.values()].some((cell) => cell.wish)) continue;
      this.#posts.delete(id);
      this.#tokens.delete(id);
    }
    const idle =
      !this.#options.live ||
      this.#end.signal.aborted ||
      globalThis.document?.visibilityState === 'hidden';
    const watches = idle ? [] : [...this.#posts.keys()].reverse();
    if (!watches.length) this.#leave();
    else if (this.#channel && !this.#application) this.#apply(this.#channel.name);
    if (this.#name) this.#say({ watches, from: this.#name });
    if (watches.length && this.#leads)
      this.#stream([...new Set([...watches, ...[...this.#others.values()].flat()])]);
  }

  /** Brings the streams to these posts, the newest first. @param {string[]} ids */
  #stream(ids) {
    const held = new Set(this.#streams.flatMap((stream) => stream.ids));
    // Some that nobody watches any more may stay: a new stream costs more.
    if (held.size <= 2 * ids.length && ids.every((id) => held.has(id))) return;
    this.#hush();
    while (ids.length) {
      const last = this.#streams.length === MOST_STREAMS - 1;
      const stream = { ids: ids.splice(0, last ? ids.length : POSTS_PER_CALL) };
      this.#streams.push(stream);
      this.#listen(stream);
    }
  }

  #hush() {
    for (const { controller } of this.#streams.splice(0)) controller?.abort();
  }

  #say(message) {
    if (!this.#end.signal.aborted) this.#channel?.postMessage(message);
  }

  #share() {
    this.#leads = false;
    this.#channel = new BroadcastChannel(`onetap ${this.#base} ${this.#options.recent}`);
    this.#channel.onmessage = ({ data: { summary, wrote, user, watches, from, beat } }) => {
      // Only the leading tab says anything else.
      if (!watches && !wrote) this.#missed = 0;
      const post = this.#posts.get(wrote ?? summary?.post_id);
      if (post && summary) this.#learn(post, summary, false, -1);
      // Whether `me` is the same user there, only the service knows.
      if (post && wrote && user === this.#user) this.#read(wrote);
      if (watches && this.#leads) this.#hear(from, watches);
      else if (!watches && !summary && !wrote && !beat) this.#relisten();
    };
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
      if (this.#leads) this.#say({ beat: true });
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
      this.#say({}); // Asks what the others watch.
      this.#relisten();
      return new Promise((resolve) => signal.addEventListener('abort', resolve));
    };
    const stand = () => {
      this.#name = name;
      this.#relisten();
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
      this.#relisten();
    });
  }

  /** Gives the lead up, or the wait for it. */
  #leave() {
    this.#hush();
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
        this.#relisten();
      };
      const { signal } = /** @type {AbortController} */ (this.#application);
      navigator.locks.request(name, { signal }, forget).catch(() => {});
    }
    this.#others.set(name, watches);
    this.#relisten();
  }

  /** @param {Stream} stream */
  async #listen(stream) {
    // The service gives each stream another `retry`. With the jitter of the pause, clients whose
    // streams ended at one moment come back spread over seconds.
    let base = BACKOFF_MS;
    const onRetry = (ms) => (base = ms || base);
    for (let tries = 0; this.#streams.includes(stream); tries += 1) {
      const controller = (stream.controller = new AbortController());
      // More than fit into one take turns: each is a snapshot, and live for a while.
      const ids = stream.ids.splice(0, POSTS_PER_CALL);
      stream.ids.push(...ids);
      let over = false;
      const began = this.#clock;
      const path = `/reactions/stream?${this.#query(ids)}`;
      const answer = await this.#ask(path, ids, (body) => body.getReader, { controller });
      if (!this.#streams.includes(stream)) return;
      if (answer.body) {
        const before = new Set();
        const end = () => {
          over = true;
          controller.abort();
        };
        const turn = stream.ids.length > ids.length ? setTimeout(end, TURN_MS) : undefined;
        try {
          for await (const data of serverSentEvents(answer.body, controller, onRetry)) {
            const summary = JSON.parse(data);
            const post = this.#posts.get(summary.post_id);
            // The first of a post is a snapshot, made after the stream was asked for.
            if (post) this.#learn(post, summary, false, before.has(post) ? -1 : began);
            this.#say({ summary });
            // The service is there again.
            if (!before.size) this.#wake();
            before.add(post);
            tries = 0;
          }
        } catch {
          // Broken or silent. The next begins with snapshots, so nothing is missed.
        }
        clearTimeout(turn);
      } else if (!answer.dropped || answer.status !== 404) {
        // Not of a service without streams.
        this.#tell(answer, {}, this.#last);
      }
      // It does without, until the page is looked at anew; another tab may fare better.
      if (answer.dropped) {
        if (this.#application) this.#leave();
        return;
      }
      controller.abort();
      if (over) tries = -1;
      else await this.#pause(tries, answer.retryMs, undefined, base);
    }
  }
}
