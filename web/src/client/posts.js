// What is known of posts: the service's answers by revision, with the user's wishes on top.

import { reactionKey, UUID } from './ids.js';

/** @import {PostState, ReactionState} from '../onetap.d.ts' */
/** @import {Cell, Parts, Post} from '../internal.d.ts' */

/** @param {Cell} cell */
export const shown = ({ wish, mine, count }) => {
  const active = wish ? wish.active : mine;
  return { mine: active, count: Math.max(0, count + Number(active) - Number(mine)) };
};

export class Posts {
  /** @type {Parts} */
  #parts;
  /** @type {Map<string, Post>} */
  #posts = new Map();
  /** Counts what is learned, to know what was asked for later. */
  learned = 0;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** What is known already. @param {string} id in lower case */
  get(id) {
    return this.#posts.get(id);
  }

  ids() {
    return [...this.#posts.keys()];
  }

  /** A post by its id; tells the page if that is none. @param {string} postId */
  post(postId) {
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
      this.#parts.tell(
        { code: 'invalid_post_id', message: `not a UUID: ${postId}`, dropped: true },
        { postId },
      );
    return post;
  }

  /** @param {Post} post @param {string} reaction */
  cell(post, reaction) {
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

  /** Forgets what nobody watches and nobody has a wish for. */
  sweep() {
    for (const { id, watchers, cells } of this.#posts.values()) {
      if (watchers || [...cells.values()].some((cell) => cell.wish)) continue;
      this.#posts.delete(id);
      this.#parts.service.forget(id);
    }
  }

  /**
   * `mine`: whether it speaks of the user. `began`: what was learned when it was asked for, or -1.
   * @param {Post} post
   */
  learn(post, summary, mine, began) {
    if (!mine && this.#parts.user && !post.known) {
      // Not before it is known what the user has: a tap on what they have would mean to give it.
      post.early = () => this.learn(post, summary, mine, began);
      return;
    }
    const { reactions, locked = false, revision = 0 } = summary;
    const told = new Map(reactions.map((r) => [reactionKey(r.reaction), r]));
    for (const r of told.values()) this.cell(post, r.reaction).reaction = r.reaction;
    for (const [key, cell] of post.cells) {
      const { count = 0, recent = [], mine: own = false } = told.get(key) ?? {};
      // A count of nothing means that nobody has it, whatever the answer says of the user.
      const flag = mine || !count ? own : undefined;
      const take = () => this.take(cell, { revision, count, recent, mine: flag }, began);
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
        seen: ++this.learned,
      });
      if (mine) post.mineRevision = revision;
    }
    const { early } = post;
    post.early = undefined;
    if (early) early();
    else this.show(post);
  }

  /**
   * Takes what is not older than what is known, by its revision, or because it was asked for
   * later, which holds even if a failover has set the service's clock back.
   * @param {Cell} cell
   */
  take(cell, { revision, count, recent = cell.recent, mine }, began) {
    const { seen } = cell;
    if (seen <= began || revision >= cell.revision) {
      Object.assign(cell, { revision, count, recent, seen: ++this.learned });
    }
    if (mine !== undefined && (seen <= began || revision >= cell.mineRevision)) {
      Object.assign(cell, { mineRevision: revision, mine, seen: ++this.learned });
    }
  }

  /** What the user should see, if that is known. @param {string} postId */
  state(postId) {
    const post = this.#posts.get(postId.toLowerCase());
    return post && (post.known || (post.cells.size && !post.adopted))
      ? this.#state(post)
      : undefined;
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
  show(post) {
    const detail = this.state(post.id);
    if (!detail) return;
    const text = JSON.stringify({ ...detail, revision: 0 });
    if (text === post.shown || this.#parts.signal.aborted) return;
    post.shown = text;
    this.#parts.emit('onetap-change', detail);
  }
}
