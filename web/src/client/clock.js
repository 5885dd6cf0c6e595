// The service's time and the age of a wish. None of the clocks is right all the time.

/** @import {Moment, Wish} from '../internal.d.ts' */

/** If two clocks drift apart by more, one was set, or stood still while the device slept. */
const JUMP_MS = 2_000;

export const stamp = () => ({ since: performance.now(), at: Date.now() });

/** Whether both clocks have advanced equally since then. @param {Moment} moment */
export const steady = ({ since, at }) =>
  Math.abs(Date.now() - at - performance.now() + since) < JUMP_MS;

export class ServiceClock {
  /** What the service's clock showed last, and when. @type {Moment | undefined} */
  #heard;

  /** @param {number} served what the service's `Date` says */
  hear(served) {
    this.#heard = { ...stamp(), served };
  }

  /** The service's time; undefined if a local clock was set or stood still since its answer. */
  now() {
    const heard = this.#heard;
    return heard?.served && steady(heard)
      ? heard.served + performance.now() - heard.since
      : undefined;
  }

  /**
   * Recomputes when a wish began. The service's clock decides if it is known: the device's clock
   * may have been set, and the page's clock stands still while the device sleeps.
   * @param {Wish} wish @param {number} timeoutMs how long an answer may have been on its way
   */
  date(wish, timeoutMs) {
    const here = performance.now() - wish.since;
    // This page's clock says nothing about a wish of another page.
    const own = Number.isNaN(wish.at) ? Date.now() - wish.made : here;
    const told = (this.now() ?? NaN) - (wish.served ?? NaN);
    let age = own < 0 ? Infinity : own;
    // The `Date` header has whole seconds, and an answer takes time to arrive.
    if (Math.abs(told - own) > JUMP_MS) age = told + 1000 + timeoutMs;
    age = Math.max(age, here);
    Object.assign(wish, { since: performance.now() - age, at: Date.now() - age });
  }
}
