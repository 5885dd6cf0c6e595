/** The types of onetap-bar.js: the element `<onetap-bar>`. Importing the module defines it. */

import type { ErrorDetail, Onetap, PostState } from './onetap.js';

/** A user as the forum knows them. */
export interface User {
  id: string | number | bigint;
  name: string;
  /** The user's page. */
  url?: string;
}

/** An image of a reaction. */
export interface ReactionImage {
  /** An address with `https:` or `data:image/`. The element ignores any other, and the console says so. */
  url: string;
  /** The text for screen readers. Default: the reaction's label. */
  alt?: string;
}

/**
 * The element's texts. For another language, call `Object.assign(OnetapBar.texts, { … })` before the page shows the bars.
 * Names, and labels in spoken texts, stand between U+2068 and U+2069. These keep them from reordering the text around them,
 * so leave them in place.
 */
export interface Texts {
  /** The name of the bar, and the heading of the list of who reacted. */
  reactions: string;
  add: string;
  /** The label of a button for screen readers. */
  button(label: string, count: number): string;
  /** What a screen reader says when a tap is saved. */
  added(label: string, count: number): string;
  removed(label: string, count: number): string;
  /** What a screen reader says when a tap has no answer after a second. */
  waiting(label: string): string;
  /** What the element shows, and a screen reader says, when the client gives a tap up. */
  failed(label: string, problem: ErrorDetail): string;
  /**
   * The reason, by code. For a code that is missing here, the element shows the problem's own English
   * words. Buttons that are disabled for such a reason have it as their title, too.
   */
  problems: Record<string, string>;
  /** Beside the buttons of a post on which nothing may be added. */
  locked: string;
  /** Beside the buttons of a post on which only reactions that somebody has may be added. */
  existing: string;
  you: string;
  /** The name of a user that `resolveUsers` does not name. */
  user(id: string): string;
  /**
   * "Anna, Ben and 12 others". `others` is NaN when the number of people is unknown. `number` writes a number as the element
   * writes counts.
   */
  who(names: string[], others: number, number: (n: number) => string): string;
  all: string;
  more: string;
  close: string;
  loading: string;
  nobody: string;
  unavailable: string;
  retry: string;
  /** The label of the picker's search. */
  search: string;
  /** What the search shows if it finds nothing. */
  nothing: string;
  /** What the element shows when the browser cannot load one of its files (list, picker). */
  missing: string;
}

/**
 * The reactions of one post.
 *
 * Attributes:
 * - `post-id`: a UUID, or an integer as in `postIdFromInteger`;
 * - `reactions="like love helpful=💡 👍"`: the page's list, with spaces between; a picture behind `=` if the name has none.
 *   Without it, the list of the post's palette, and `like` if the palette is `*`;
 * - `quick="2"`: how many of the list always have a button (1);
 * - `summary`: the service's JSON for the post. If you change it later, the element takes it unless it is older than what the
 *   element shows;
 * - `user-id`: the viewer. Without it and without a client of the page's own, the element refuses taps (open mode);
 * - `readonly`: counts and names, no taps;
 * - `base-url`, `recent` (3): for bars without a client of the page's own. Bars with the same `base-url`, `user-id` and
 *   `recent` share one client.
 *
 * The console names invalid values.
 */
export class OnetapBar extends HTMLElement {
  /** The client for all bars without one of their own. */
  static client: Onetap | undefined;
  /** Returns the users of these ids. One call serves all bars of the page, once for each id. A user left out stays nameless. */
  static resolveUsers: ((ids: string[]) => User[] | Promise<User[]>) | undefined;
  /**
   * Returns an image for a reaction, which is spelled as by `reactionKey`. One call for each reaction, when a bar first shows
   * it. If there is no image, or the browser cannot load it, the reaction keeps its emoji or word.
   */
  static resolveReaction:
    | ((reaction: string) => ReactionImage | undefined | Promise<ReactionImage | undefined>)
    | undefined;
  /** Emojis for names of reactions. */
  static pictures: Record<string, string>;
  /** Words for reactions, for screen readers and for the picker's search. */
  static labels: Record<string, string>;
  static texts: Texts;

  /** The client that this bar uses. Set it to give this bar one of its own. */
  get client(): Onetap | undefined;
  set client(client: Onetap | undefined);
  /** Taps like a press of the reaction's button. `at` is the event's `timeStamp`; default: now. */
  tap(reaction: string, at?: number): void;
  /** Opens the list of who reacted; with a reaction, of that one. */
  showReactors(reaction?: string): void;
  /** Draws the bar again. Call it after you have changed `pictures`, `labels` or `texts`. */
  update(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'onetap-bar': OnetapBar;
  }
  interface HTMLElementEventMap {
    'onetap-change': CustomEvent<PostState>;
    /** An element without a `post-id` sends one with the `code` `no_post_id`. */
    'onetap-error': CustomEvent<ErrorDetail>;
  }
}
