// Holds the streams, which bring other people's taps.

import { serverSentEvents } from './events.js';
import { POSTS_PER_CALL } from './reads.js';
import { BACKOFF_MS } from './waits.js';

/** @import {Parts, Stream} from '../internal.d.ts' */

/** Over HTTP/1.1 a browser opens six connections to a host, for all tabs together. */
const MOST_STREAMS = 3;
/** How long a group of posts keeps the last stream, if more posts need it than it takes. */
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

  /** Opens streams for these posts, if there are none. @param {string[]} ids newest first */
  follow(ids) {
    const held = new Set(this.#streams.flatMap((stream) => stream.ids));
    // Posts that nobody watches any more may stay: a new stream costs more.
    if (held.size <= 2 * ids.length && ids.every((id) => held.has(id))) return;
    this.hush();
    while (ids.length) {
      const last = this.#streams.length === MOST_STREAMS - 1;
      const stream = { ids: ids.splice(0, last ? ids.length : POSTS_PER_CALL) };
      this.#streams.push(stream);
      this.#listen(stream);
    }
  }

  /** Closes all streams. */
  hush() {
    for (const { controller } of this.#streams.splice(0)) controller?.abort();
  }

  /** @param {Stream} stream */
  async #listen(stream) {
    const { last, pauses, posts, service, tabs, tell } = this.#parts;
    // The service gives each stream a different `retry`. With the jitter of the pause, clients that
    // lost their streams at the same moment reconnect spread over seconds.
    let base = BACKOFF_MS;
    const onRetry = (ms) => (base = ms || base);
    for (let tries = 0; this.#streams.includes(stream); tries += 1) {
      const controller = (stream.controller = new AbortController());
      // Posts that do not fit into one stream take turns. Each turn begins with a snapshot.
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
        // A 404 of the service means that it has no streams: nothing to report.
        tell(answer, {}, last);
      }
      // A retry is useless until the page is shown again. Another tab may succeed, so hand over.
      if (answer.dropped) {
        tabs.withdraw();
        return;
      }
      controller.abort();
      if (over) tries = -1;
      else await pauses.pause(tries, answer.retryMs, undefined, base);
    }
  }

  /** Takes in the events of a stream until it ends, and passes them on to other tabs. */
  async #hear(events, began, heard) {
    const { pauses, posts, tabs } = this.#parts;
    const before = new Set();
    try {
      for await (const data of events) {
        const summary = JSON.parse(data);
        const post = posts.get(summary.post_id);
        // The first event of a post is a snapshot, made after the request for the stream.
        if (post) posts.learn(post, summary, false, before.has(post) ? -1 : began);
        tabs.say({ summary });
        // The service answers again.
        if (!before.size) pauses.wake();
        before.add(post);
        heard();
      }
    } catch {
      // The stream broke or was silent. The next one begins with snapshots, so nothing is missed.
    }
  }
}
