// The service's time, and how old a wish is, by clocks of which none is right all the time.

/** @import {Moment, Wish} from '../internal.d.ts' */

/** Clocks that differ by more were set, or stood still while the device slept. */
const JUMP_MS = 2_000;

export const stamp = () => ({ since: performance.now(), at: Date.now() });

/** Whether the two clocks have gone on together since. @param {Moment} moment */
export const steady = ({ since, at }) =>
  Math.abs(Date.now() - at - performance.now() + since) < JUMP_MS;

export class ServiceClock {
  /** What the service's clock showed last, and when. @type {Moment | undefined} */
  #heard;

  /** @param {number} served what the service's `Date` says */
  hear(served) {
    this.#heard = { ...stamp(), served };
  }

  /** The service's time, unless a clock of ours has been set since it was heard, or stood still. */
  now() {
    const heard = this.#heard;
    return heard?.served && steady(heard)
      ? heard.served + performance.now() - heard.since
      : undefined;
  }

  /**
   * Sets the beginning of a wish anew, on today's clocks. The service's clock decides where it is
   * known: ours may have been set, and that of this page stands still in the device's sleep.
   * @param {Wish} wish @param {number} timeoutMs how long an answer may have been on its way
   */
  date(wish, timeoutMs) {
    const here = performance.now() - wish.since;
    // Of a wish of another page, this page's clock says nothing.
    const own = Number.isNaN(wish.at) ? Date.now() - wish.made : here;
    const told = (this.now() ?? NaN) - (wish.served ?? NaN);
    let age = own < 0 ? Infinity : own;
    // The header has whole seconds, and the way of an answer takes time.
    if (Math.abs(told - own) > JUMP_MS) age = told + 1000 + timeoutMs;
    age = Math.max(age, here);
    Object.assign(wish, { since: performance.now() - age, at: Date.now() - age });
  }
}
