// The state of posts: the newest answers of the service, with the user's wishes on top.

import { reactionKey, UUID } from './ids.js';

/** @import {PostState, ReactionState} from '../onetap.d.ts' */
/** @import {Cell, Parts, Post} from '../internal.d.ts' */

/** Of a post that no moderator has changed. */
const RULES = { locked: false, add: 'all', palette: 'default' };

/** The wishes for a reaction that have no answer yet. @param {Cell} cell */
export const marks = ({ sent, wish }) => (wish ? [...sent, wish] : sent);

export class Posts {
  /** @type {Parts} */
  #parts;
  /** @type {Map<string, Post>} */
  #posts = new Map();
  /** Counts updates, to know whether a request was sent after the latest one. */
  learned = 0;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** A post, if the client keeps it. @param {string} id in lower case */
  get(id) {
    return this.#posts.get(id);
  }

  ids() {
    return [...this.#posts.keys()];
  }

  /** Finds or makes a post. Reports an id that is invalid. @param {string} postId */
  post(postId) {
    const id = postId.toLowerCase();
    let post = this.#posts.get(id);
    if (!post && UUID.test(id)) {
      post = {
        id,
        ...RULES,
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

  /** Shows all posts, as far as something has changed. */
  showAll() {
    for (const post of this.#posts.values()) this.show(post);
  }

  /** Drops posts that nobody watches and that have no wish. */
  sweep() {
    for (const { id, watchers, cells } of this.#posts.values()) {
      if (watchers || [...cells.values()].some((cell) => cell.wish)) continue;
      this.#posts.delete(id);
      this.#parts.service.forget(id);
    }
  }

  /**
   * Takes in a summary. `mine`: whether it has the user's flags. `began`: `learned` at the time of
   * the request, or -1.
   * @param {Post} post
   */
  learn(post, summary, mine, began) {
    if (!mine && this.#parts.user && !post.known) {
      // Waits for the user's own flags. Without them, a tap on a reaction that the user already has
      // would add it instead of removing it.
      post.early = () => this.learn(post, summary, mine, began);
      return;
    }
    const { locked, add, palette, reactions, revision = 0 } = { ...RULES, ...summary };
    const told = new Map(reactions.map((r) => [reactionKey(r.reaction), r]));
    for (const r of told.values()) this.cell(post, r.reaction).reaction = r.reaction;
    for (const [key, cell] of post.cells) {
      const { count = 0, recent = [], mine: own = false } = told.get(key) ?? {};
      // A count of 0 means that the user does not have it either.
      const flag = mine || !count ? own : undefined;
      const take = () => this.take(cell, { revision, count, recent, mine: flag }, began);
      // The count may or may not include the user's own write, so it waits for that answer.
      if ((cell.wish || this.ousted(cell)) && flag === undefined) cell.held = take;
      else take();
    }
    if (post.seen <= began || revision >= post.revision) {
      Object.assign(post, {
        known: true,
        locked,
        add,
        palette,
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
   * Accepts values with the same or a newer revision, or from a request that was sent after the
   * latest update. The second rule holds even after a failover has set the service's clock back.
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

  /** Takes in what was held back of reactions that no wish concerns any more. @param {Post} post */
  release(post) {
    for (const cell of post.cells.values()) {
      if (!cell.held || cell.wish || this.ousted(cell)) continue;
      cell.held();
      cell.held = undefined;
    }
  }

  /** Whether a later wish for a reaction that excludes it takes it away. @param {Cell} cell */
  ousted(cell) {
    const { rules } = this.#parts;
    const later = ({ active, turn }) => active && turn > (cell.wish?.turn ?? 0);
    return [...cell.post.cells.values()].some(
      (other) => marks(other).some(later) && rules.judge.exclude(cell, other),
    );
  }

  /** What the user should see of a reaction. @param {Cell} cell */
  shown(cell) {
    const { wish, mine, count } = cell;
    const active = (wish ? wish.active : mine) && !this.ousted(cell);
    return { mine: active, count: Math.max(0, count + Number(active) - Number(mine)) };
  }

  /** What the user should see; undefined if it is not known yet. @param {string} postId */
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
    let { id, revision, locked, add, palette, order, cells } = post;
    let total = 0;
    for (const key of new Set([...order, ...cells.keys()])) {
      const cell = /** @type {Cell} */ (cells.get(key));
      const { mine, count } = this.shown(cell);
      const { reaction, wish, recent } = cell;
      revision = Math.max(revision, cell.revision);
      total += count;
      if (count || wish) reactions.push({ reaction, count, mine, pending: !!wish, recent });
    }
    return { postId: id, revision, locked, add, palette, total, reactions };
  }

  /** Dispatches `onetap-change` if what the user sees has changed. @param {Post} post */
  show(post) {
    const detail = this.state(post.id);
    if (!detail) return;
    const text = JSON.stringify({ ...detail, revision: 0 });
    if (text === post.shown || this.#parts.signal.aborted) return;
    post.shown = text;
    this.#parts.emit('onetap-change', detail);
  }
}
