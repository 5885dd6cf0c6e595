// Reads: the summaries of posts, in batches, and the lists of who reacted.

import { isSummary } from './service.js';

/** @import {Parts} from '../internal.d.ts' */

export const POSTS_PER_CALL = 100;
/** Waits so long for other elements of the page, and reads for all of them at once. */
export const GATHER_MS = 20;
/** How often the client requests a list that somebody waits for. */
const READS = 3;

export class Reads {
  /** @type {Parts} */
  #parts;
  /** Posts to be read. @type {Set<string>} */
  #needs = new Set();
  #reading = false;

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** @param {string} id */
  read(id) {
    this.#needs.add(id);
    if (!this.#reading) this.#readAll();
  }

  async #readAll() {
    const { pauses, posts, service, settings, signal, user } = this.#parts;
    this.#reading = true;
    await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    for (let tries = 0; this.#needs.size && !signal.aborted;) {
      const ids = [...this.#needs].slice(0, POSTS_PER_CALL);
      const began = posts.learned;
      const query = service.query(ids);
      if (settings.userId) query.set('user_id', String(user));
      for (const id of ids) this.#needs.delete(id);
      const answer = await service.ask(`/reactions?${query}`, ids, (body) =>
        body.posts.every(isSummary),
      );
      for (const summary of answer.body?.posts ?? []) {
        const post = posts.get(summary.post_id);
        if (post) posts.learn(post, summary, !!user, began);
        this.#parts.last.told = undefined;
        tries = 0;
      }
      if (answer.body) continue;
      this.#failed(ids, answer);
      if (answer.dropped) continue;
      for (const id of ids) if (posts.get(id)) this.#needs.add(id);
      await pauses.pause(tries++, answer.retryMs);
    }
    this.#reading = false;
  }

  #failed(ids, answer) {
    const { last, posts, tell } = this.#parts;
    for (const id of ids) {
      const post = posts.get(id);
      // The service does not answer, so show the adopted wish of another page without it.
      if (post?.adopted) {
        post.adopted = false;
        posts.show(post);
      }
    }
    tell(answer, {}, last);
  }

  /** @param {string} postId @param {{reaction?: string, limit?: number, cursor?: string}} query */
  async reactors(postId, { reaction, limit, cursor }) {
    const { pauses, service } = this.#parts;
    const query = new URLSearchParams();
    if (limit) query.set('limit', String(limit));
    if (cursor) query.set('cursor', cursor);
    const of = reaction ? `/reactions/${encodeURIComponent(reaction)}` : '';
    const path = `/${postId}${of}/users?${query}`;
    for (let tries = 1; ; tries += 1) {
      const answer = await service.ask(path, [postId], (body) => body.users.map);
      const { users, next_cursor } = answer.body ?? {};
      if (users) return { users: users.map((user) => ({ reaction, ...user })), next_cursor };
      if (answer.dropped || tries === READS) {
        throw Object.assign(new Error(), { postId, reaction }, answer);
      }
      await pauses.pause(tries - 1, answer.retryMs);
    }
  }
}
