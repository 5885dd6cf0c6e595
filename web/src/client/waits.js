// Timeouts, and the pauses between retries.

export const BACKOFF_MS = 1_000;
const BACKOFF_MOST_MS = 30_000;

/** The result of `work`, or a rejection after `ms` even if `work` never settles. */
export const within = (ms, controller, work) =>
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

export class Pauses {
  #most;
  /** Pauses that `wake` may end. @type {Set<() => void>} */
  #ends = new Set();

  /** @param {number} most the longest pause, in ms */
  constructor(most) {
    this.#most = most;
  }

  /**
   * Exponential backoff with jitter, so that clients do not all retry at the same moment. `wake`
   * ends it early, except after a `Retry-After`.
   * @returns {Promise<void>}
   */
  pause(tries, retryMs = 0, most = this.#most, base = BACKOFF_MS) {
    const backoff = Math.random() * Math.min(BACKOFF_MOST_MS, base * 2 ** tries);
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#ends.delete(end);
        resolve();
      };
      // Without a `Retry-After`, the pause is at most half of `most` plus 100 ms. If `most` is the
      // time left, that leaves time for one more attempt.
      const timer = setTimeout(end, Math.min(most, retryMs + Math.min(backoff, most / 2 + 100)));
      if (!retryMs) this.#ends.add(end);
    });
  }

  wake() {
    for (const end of this.#ends) end();
  }
}
