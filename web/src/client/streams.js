// Other people's taps: streams for all posts that are watched.

import { serverSentEvents } from './events.js';
import { POSTS_PER_CALL } from './reads.js';
import { BACKOFF_MS } from './waits.js';

/** @import {Parts, Stream} from '../internal.d.ts' */

/** Of the six connections that a browser has to a host over HTTP/1.1, for all tabs. */
const MOST_STREAMS = 3;
/** How long some posts have the last stream, if there are more than it can take at once. */
const TURN_MS = 5_000;

export class Streams {
  /** @type {Parts} */
  #parts;
  /** Those that are open, or being opened, each with its posts. @type {Stream[]} */
  #streams = [];

  /** @param {Parts} parts */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Brings the streams to these posts, the newest first. @param {string[]} ids */
  follow(ids) {
    const held = new Set(this.#streams.flatMap((stream) => stream.ids));
    // Some that nobody watches any more may stay: a new stream costs more.
    if (held.size <= 2 * ids.length && ids.every((id) => held.has(id))) return;
    this.hush();
    while (ids.length) {
      const last = this.#streams.length === MOST_STREAMS - 1;
      const stream = { ids: ids.splice(0, last ? ids.length : POSTS_PER_CALL) };
      this.#streams.push(stream);
      this.#listen(stream);
    }
  }

  /** Ends them all. */
  hush() {
    for (const { controller } of this.#streams.splice(0)) controller?.abort();
  }

  /** @param {Stream} stream */
  async #listen(stream) {
    const { last, pauses, posts, service, tabs, tell } = this.#parts;
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
      const began = posts.learned;
      const path = `/reactions/stream?${service.query(ids)}`;
      const answer = await service.ask(path, ids, (body) => body.getReader, { controller });
      if (!this.#streams.includes(stream)) return;
      if (answer.body) {
        const end = () => {
          over = true;
          controller.abort();
        };
        const turn = stream.ids.length > ids.length ? setTimeout(end, TURN_MS) : undefined;
        const heard = () => (tries = 0);
        await this.#hear(serverSentEvents(answer.body, controller, onRetry), began, heard);
        clearTimeout(turn);
      } else if (!answer.dropped || answer.status !== 404) {
        // Not of a service without streams.
        tell(answer, {}, last);
      }
      // It does without, until the page is looked at anew; another tab may fare better.
      if (answer.dropped) {
        tabs.withdraw();
        return;
      }
      controller.abort();
      if (over) tries = -1;
      else await pauses.pause(tries, answer.retryMs, undefined, base);
    }
  }

  /** Takes in what a stream says until it ends, and passes it on to other tabs. */
  async #hear(events, began, heard) {
    const { pauses, posts, tabs } = this.#parts;
    const before = new Set();
    try {
      for await (const data of events) {
        const summary = JSON.parse(data);
        const post = posts.get(summary.post_id);
        // The first of a post is a snapshot, made after the stream was asked for.
        if (post) posts.learn(post, summary, false, before.has(post) ? -1 : began);
        tabs.say({ summary });
        // The service is there again.
        if (!before.size) pauses.wake();
        before.add(post);
        heard();
      }
    } catch {
      // Broken or silent. The next begins with snapshots, so nothing is missed.
    }
  }
}
