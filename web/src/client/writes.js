// Delivers wishes: retries each write until the service has answered.
//
// All taps of a gesture are one wish, so the client sends the first tap at once, as PUT (on) or
// DELETE (off) with an Idempotency-Key. A write without an answer may still arrive late and count.
// So the client repeats it with its key, even if the user has changed their mind. After the answer,
// late copies change nothing, and the client sends the newest wish. A wish without an answer is in
// the browser's storage too, for the next page of the site.

import { steady } from './clock.js';
import { isReaction, reactionKey } from './ids.js';
import { marks } from './posts.js';
import { isSummary } from './service.js';

/** @import {Answer, Cell, Parts, Post, Wish} from '../internal.d.ts' */

/** Wishes that one page keeps in storage. */
const MOST_KEPT = 100;

export class Writes {
  /** @type {Parts} */
  #parts;
  /** Cells with a wish, and its delivery. @type {Map<Cell, Promise<void>>} */
  #pending = new Map();
  /** Orders the wishes of this page. */
  #turns = 0;
  /** Settles when the page comes back from the cache. @type {Promise<unknown> | undefined} */
  #back;
  /** The request for the service's time, if there is one. @type {Promise<Answer> | undefined} */
  #hearing;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** The first tap of a gesture flips what is shown; later taps do nothing. */
  tap(postId, reaction, at) {
    this.wish(postId, reaction, (cell) => {
      if (at < cell.gestureEnd) return undefined;
      cell.gestureEnd = at + this.#parts.settings.gestureMs;
      return !this.#parts.posts.shown(cell).mine;
    });
  }

  /** `decide(cell)` gives the state that the user wants, or undefined for none. */
  wish(postId, reaction, decide) {
    const { outbox, rules, pauses, posts, signal, tell, user } = this.#parts;
    const post = posts.post(postId);
    if (!post || signal.aborted) return;
    if (!user || !isReaction(reaction)) {
      const [code, message] = user
        ? ['invalid_reaction', `neither a name nor an emoji: ${reaction}`]
        : ['unauthenticated', 'whose tap? neither userId nor token was given'];
      tell({ code, message, dropped: true }, { postId, reaction });
      return;
    }
    // A user may have the reaction under the alias's own name, from before it was an alias.
    const named = post.cells.get(reactionKey(reaction));
    const isOwn = named && (named.mine || named.wish || named.gestureEnd > performance.now());
    const cell = isOwn ? named : posts.cell(post, rules.judge.meant(post, reaction));
    const active = decide(cell);
    if (active === undefined || active === posts.shown(cell).mine) return;
    // Wishes of other tabs go first.
    this.adopt(post.id);
    post.adopted = false;
    const { sent, wish } = cell;
    if (wish && !sent.includes(wish)) outbox.forget(wish);
    if (active) this.#oust(cell);
    // A write in flight that says the same makes a second one needless.
    cell.wish =
      sent.length === 1 && sent[0].active === active && !posts.ousted(cell)
        ? sent[0]
        : this.#keep(cell, active, Math.ceil(sent.at(-1)?.n ?? 0) + 1);
    posts.show(post);
    pauses.wake();
    this.#begin(cell);
  }

  /** When every wish is confirmed or dropped. */
  async settled() {
    while (this.#pending.size) await Promise.all(this.#pending.values());
  }

  /** The page goes away: sends everything, then repeats nothing older unless it comes back. */
  depart() {
    this.flush();
    this.#back = new Promise((resolve) => addEventListener('pageshow', resolve, { once: true }));
  }

  /** Drops wishes that a new one takes back before they were sent. @param {Cell} cell */
  #oust(cell) {
    const { outbox, rules } = this.#parts;
    for (const other of this.#pending.keys()) {
      const { post, sent, wish } = other;
      if (!wish?.active || sent.includes(wish) || post !== cell.post) continue;
      if (!rules.judge.exclude(cell, other)) continue;
      outbox.forget(wish);
      other.wish = sent.at(-1);
    }
  }

  /**
   * Whether an earlier wish for a reaction that may exclude this one has no answer yet. The service
   * must get both in the order in which the user made them.
   * @param {Cell} cell @param {Wish | undefined} wish
   */
  #waits(cell, wish) {
    const earlier = (mark) => wish && mark.turn < wish.turn;
    return [...this.#pending.keys()].some(
      (other) =>
        other !== cell &&
        other.post === cell.post &&
        marks(other).some(earlier) &&
        this.#parts.rules.judge.exclude(cell, other) !== false,
    );
  }

  /** @param {Cell} cell @returns {Wish} */
  #keep(cell, active, n, turn = ++this.#turns) {
    return this.#parts.outbox.keep(cell, active, n, turn, this.#pending.size < MOST_KEPT);
  }

  /** @param {Cell} cell */
  #begin(cell) {
    if (!this.#pending.has(cell)) this.#pending.set(cell, this.#deliver(cell));
  }

  /** Sends wishes until there is none. @param {Cell} cell */
  async #deliver(cell) {
    const { outbox, pauses, posts, reads, signal, tabs, tell } = this.#parts;
    const { post, reaction, sent } = cell;
    const where = { postId: post.id, reaction };
    while (cell.wish && !signal.aborted) {
      if (this.#waits(cell, sent[0] ?? cell.wish)) {
        await pauses.pause(0);
        continue;
      }
      if (!sent.length) sent.push(cell.wish);
      const [wish] = sent;
      const answer = await this.#answer(cell, wish, where);
      if (answer.body || answer.dropped) outbox.forget(wish);
      sent.shift();
      pauses.wake(); // The service answers, and others may have waited for this wish.
      if (cell.wish !== wish) continue;
      cell.wish = undefined;
      posts.release(post);
      if (!answer.body) {
        reads.read(post.id);
        if (answer.code) tell(answer, where);
      }
      posts.show(post);
    }
    this.#pending.delete(cell);
    tabs.relisten();
  }

  /**
   * Repeats a write until it is answered.
   * @param {Cell} cell @param {Wish} wish @returns {Promise<Answer>}
   */
  async #answer(cell, wish, where) {
    const { outbox, pauses, posts, signal, tabs, tell, user } = this.#parts;
    const { id } = cell.post;
    const left = () => this.#left(wish);
    for (let tries = 0; ; tries += 1) {
      // Another tab has delivered it.
      if (wish.adopted && outbox.isGone(wish)) return {};
      /** @type {Answer | undefined} */
      let answer;
      if (left() > 0 && !steady(wish)) answer = await this.#date(id, wish);
      if (!(left() > 0))
        return { code: 'wish_expired', message: 'its key is no longer kept', dropped: true };
      if (!answer) {
        const began = posts.learned;
        answer = await this.#send(cell, wish);
        if (answer.body) {
          const { body, replayed } = answer;
          for (const { reaction = cell.reaction, count, active = false } of [
            body,
            ...(body.replaced ?? []),
          ]) {
            const told = { revision: body.revision, count, mine: active };
            posts.take(posts.cell(cell.post, reaction), told, replayed ? -1 : began);
          }
          tabs.say({ wrote: id, user });
        }
        if (answer.body || answer.dropped) return answer;
      }
      if (signal.aborted) return { ...answer, dropped: false };
      tell(answer, where, wish);
      await pauses.pause(tries, answer.retryMs, left());
      await this.#back;
    }
  }

  /**
   * Finds out how old a wish is; asks the service for the time if necessary. Returns the answer
   * only if it does not give the time.
   * @param {string} id @param {Wish} wish @returns {Promise<Answer | undefined>}
   */
  async #date(id, wish) {
    const { clock, service, settings } = this.#parts;
    /** @type {Answer | undefined} */
    let answer;
    if (!clock.now()) {
      this.#hearing ??= service.ask(`/${id}/reactions`, [id], isSummary);
      answer = await this.#hearing;
      this.#hearing = undefined;
    }
    if (answer && !answer.body && !answer.problem) return answer;
    clock.date(wish, settings.timeoutMs);
    return undefined;
  }

  /** How long the client may still send it: a repeat must arrive while its key is on record. */
  #left({ since }) {
    const { retentionMs, timeoutMs } = this.#parts.settings;
    return since + retentionMs - timeoutMs - performance.now();
  }

  /** @param {Cell} cell @param {Wish} wish */
  #send({ post, reaction }, { active, key }) {
    const { service, user } = this.#parts;
    const [name, whose] = [reaction, user ?? ''].map(encodeURIComponent);
    const path = `/${post.id}/reactions/${name}/users/${whose}`;
    const whole = (body) => body.active !== undefined && body.count >= 0 && body.revision >= 0;
    const method = active ? 'PUT' : 'DELETE';
    return service.ask(path, [post.id], whole, { method, key });
  }

  /**
   * Sends all waiting wishes now, because there may be no later. Here a newer wish overtakes an
   * unanswered one, under a key of its own, since it must be sent again after that one.
   */
  flush() {
    for (const cell of this.#pending.keys()) {
      const { wish, sent } = cell;
      let last = sent.at(-1);
      // If the wish is too old, or its age is in doubt, its key may be gone.
      if (!wish || !steady(last ?? wish) || !(this.#left(last ?? wish) > 0)) continue;
      // Another tab has delivered it.
      if (wish.stored && this.#parts.outbox.isGone(wish)) continue;
      if (last?.active !== wish.active || (last === wish && sent[1])) {
        const [at, own] = [last === wish ? sent.length - 1 : sent.length, wish.n - 0.5];
        last = this.#keep(cell, wish.active, own, wish.turn);
        sent.splice(at, 0, last);
      }
      this.#send(cell, last);
    }
  }

  /**
   * Takes over stored wishes of other pages, which may be gone. Marks them as adopted, which tells
   * those pages to wait for their answers before they send anything newer.
   */
  adopt(postId = '') {
    const { outbox, posts, signal } = this.#parts;
    if (signal.aborted) return;
    for (const { id, adopted, ...kept } of outbox.found(postId)) {
      const cell = posts.cell(/** @type {Post} */ (posts.post(id)), kept.reaction);
      const { post, sent, wish } = cell;
      const own = wish?.key === kept.key;
      if (sent.some(({ key }) => key === kept.key) || (own && !adopted)) continue;
      // An own wish is sent first if it is older, or if another page may have sent it.
      if (wish && !sent.includes(wish)) sent.push(wish);
      // The rest waits for the next call.
      if (own || (!wish && this.#pending.size >= MOST_KEPT)) continue;
      cell.wish = {
        ...kept,
        stored: true,
        adopted: true,
        since: performance.now(),
        at: NaN,
        turn: ++this.#turns,
      };
      sent.push(cell.wish);
      if (!adopted) outbox.put(cell.wish);
      if (!post.known && !post.shown) post.adopted = true;
      posts.show(post);
      this.#begin(cell);
    }
  }
}
