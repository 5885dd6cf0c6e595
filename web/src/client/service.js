// Sends single requests, and decides which responses are answers of the service.

import { within } from './waits.js';

/** @import {Answer, Settings} from '../internal.d.ts' */
/** @import {ServiceClock} from './clock.js' */

const RETRY_AFTER_MOST_MS = 60_000;

export const isSummary = ({ reactions }) =>
  reactions.every((r) => r.reaction.at(0) && r.count >= 0);

export class Service {
  /** @type {Settings} */
  #settings;
  /** @type {ServiceClock} */
  #clock;
  /** By post. @type {Map<string, Promise<string>>} */
  #tokens = new Map();

  /** @param {Settings} settings @param {ServiceClock} clock gets the time of each answer */
  constructor(settings, clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /**
   * Makes one attempt; never rejects. `whole` checks that a body is complete. After a 401 it asks
   * the page for a new token, once.
   * @returns {Promise<Answer>}
   */
  async ask(
    path,
    ids,
    whole,
    { method = 'GET', key = '', root = '/posts', controller = new AbortController() } = {},
  ) {
    const { base, fetch = globalThis.fetch, token, timeoutMs } = this.#settings;
    for (let asked = !token; ; asked = true) {
      const headers = {};
      let failed = 'token_failed';
      try {
        if (token && ids.length) headers.Authorization = `Bearer ${await this.#token(ids, token)}`;
        if (key) headers['Idempotency-Key'] = key;
        failed = 'network_error';
        const answer = await within(timeoutMs, controller, async () => {
          const response = await fetch(`${base}/v1${root}${path}`, {
            method,
            headers,
            signal: controller.signal,
            keepalive: !!key, // A write outlives its page.
            redirect: 'manual', // To a login page or a portal, which are no answers of ours.
            // In Firefox an equal request waits for the first one's end, and a stream has none.
            cache: ids.length ? 'no-store' : 'default',
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

  /** The query that names posts. @param {string[]} ids */
  query(ids) {
    const query = new URLSearchParams(ids.map((id) => ['post_id', id]));
    query.set('recent', String(this.#settings.recent));
    return query;
  }

  /** Drops the post's token. @param {string} id */
  forget(id) {
    this.#tokens.delete(id);
  }

  /** Only a `code` or a whole body makes an answer: a proxy or a portal may have responded. */
  #judge({ ok, status, headers }, body, whole) {
    const problem = status >= 400 && /^[a-z_]+$/.test(body?.code ?? '') ? body : undefined;
    const known = ok && body && whole(body);
    const date = Date.parse(headers.get('Date'));
    if (date && (problem || known)) this.#clock.hear(date);
    if (known) return { body, replayed: headers.has('Idempotency-Replayed') };
    const code = problem?.code ?? (status >= 400 ? `http_${status}` : 'unexpected_answer');
    const after = headers.get('Retry-After');
    // `Retry-After`: seconds, or a date in GMT by the responder's clock, in one of three forms.
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
    const token = within(this.#settings.timeoutMs, new AbortController(), () => ask([...ids]));
    for (const id of ids) this.#tokens.set(id, token);
    token.catch(() => this.#tokens.clear());
    return token;
  }
}
