// Judges a tap by the palettes of the service, before the service does: which reactions it offers,
// which of them exclude each other, and their aliases. The client loads this file when a page asks
// for the palettes.

/** @import {Palette} from '../onetap.d.ts' */
/** @import {Cell, Judge, Post} from '../internal.d.ts' */

/** A palette that the configuration no longer has offers nothing. @type {Palette} */
const GONE = { reactions: [], exclusive: [], aliases: {} };

/** Both spellings of an emoji are one reaction. */
const same = (one, other) => one.replaceAll('\uFE0F', '') === other.replaceAll('\uFE0F', '');

/** @param {string | string[]} list `*`: all */
const has = (list, reaction) => [list].flat().some((one) => one === '*' || same(one, reaction));

/** @param {Record<string, Palette>} palettes @returns {Judge} */
export function judge(palettes) {
  /** @param {Post | undefined} post */
  const of = (post) => palettes[post?.palette ?? 'default'] ?? GONE;

  /** The reaction that a name counts as. @param {Post | undefined} post @param {string} name */
  const meant = (post, name) =>
    Object.entries(of(post).aliases).find(([alias]) => same(alias, name))?.[1] ?? name;

  /** Why the service would refuse to add a reaction. @param {Post | undefined} post */
  function refusal(post, name) {
    const { locked, add, cells } = post ?? {};
    const counted = meant(post, name);
    if (locked || add === 'none') return 'reactions_locked';
    const held = [...(cells?.values() ?? [])].some((c) => c.count && same(c.reaction, counted));
    if ((add !== 'existing' || held) && has(of(post).reactions, counted)) return undefined;
    return 'reaction_not_allowed';
  }

  /**
   * Whether a user has at most one of these two. An alias beside its reaction is one reaction: then
   * it is undefined, since neither takes the other away.
   * @param {Cell} one @param {Cell} other
   */
  function exclude({ post, reaction }, other) {
    const [first, second] = [reaction, other.reaction].map((name) => meant(post, name));
    if (same(first, second)) return undefined;
    return [...of(post).exclusive].some((group) => has(group, first) && has(group, second));
  }

  return { of, meant, refusal, exclude };
}
