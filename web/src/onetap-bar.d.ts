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
  /** `https:` or `data:image/`; anything else is not taken, and the console says so. */
  url: string;
  /** What is read in its place. Default: the reaction's label. */
  alt?: string;
}

/**
 * What the element says. For another language: `Object.assign(OnetapBar.texts, { … })`, before the bars are shown. Names, and
 * labels in what is spoken, stand between U+2068 and U+2069, so that they reorder nothing around them: leave these in place.
 */
export interface Texts {
  /** The name of the bar, and the heading of the list of who reacted. */
  reactions: string;
  add: string;
  /** What a screen reader reads of a button. */
  button(label: string, count: number): string;
  /** What a screen reader says when a tap is saved. */
  added(label: string, count: number): string;
  removed(label: string, count: number): string;
  /** What a screen reader says of a tap that has no answer after a second. */
  waiting(label: string): string;
  /** What is shown, and said, when a tap had to be given up. */
  failed(label: string, problem: ErrorDetail): string;
  /** Why, by code; without it the problem's own words are taken, which are English. */
  problems: Record<string, string>;
  you: string;
  /** A user whose name nobody knows. */
  user(id: string): string;
  /**
   * "Anna, Ben and 12 others". `others` is NaN where nobody knows how many they are; `number` writes it as the counts are
   * written.
   */
  who(names: string[], others: number, number: (n: number) => string): string;
  all: string;
  more: string;
  close: string;
  loading: string;
  nobody: string;
  unavailable: string;
  retry: string;
  /** The picker's search, and what it says if it finds nothing. */
  search: string;
  nothing: string;
  /** A file of the element (list, picker) could not be loaded. */
  missing: string;
}

/**
 * The reactions of one post.
 *
 * Attributes: `post-id` (a UUID, or an integer as in `postIdFromInteger`); `reactions="like love helpful=💡 👍"`, the
 * page's list, with spaces between, and a picture behind `=` where the name has none; `quick="2"`, how many of them always
 * have a button (1); `summary`, the JSON that the service answers for the post (changed later, it is taken if it is not older
 * than what is shown); `user-id`, who is looking; `readonly`. Without a client of the page's own: `base-url`, `user-id` (open mode;
 * without it taps are refused) and `recent` (3) make one, shared by bars with the same ones. What cannot be meant is said in
 * the console.
 */
export class OnetapBar extends HTMLElement {
  /** The client of all bars that have none of their own. */
  static client: Onetap | undefined;
  /** Names for ids; asked for all bars of the page at once, and once for each id. Who is missing stays nameless. */
  static resolveUsers: ((ids: string[]) => User[] | Promise<User[]>) | undefined;
  /**
   * An image for a reaction, spelled as by `reactionKey`; asked for once for each, when it is first shown. Without one, or
   * if it cannot be loaded, the reaction keeps its emoji or word.
   */
  static resolveReaction:
    | ((reaction: string) => ReactionImage | undefined | Promise<ReactionImage | undefined>)
    | undefined;
  /** Emojis for names of reactions. */
  static pictures: Record<string, string>;
  /** Words for reactions, for those who hear them, and for the picker's search. */
  static labels: Record<string, string>;
  static texts: Texts;

  /** The client of this bar alone, if set; else the one it uses. */
  get client(): Onetap | undefined;
  set client(client: Onetap | undefined);
  /** Taps, as a press of the reaction's button does. `at`: the event's `timeStamp`; default: now. */
  tap(reaction: string, at?: number): void;
  /** Opens the list of who reacted; of one reaction, if it is named. */
  showReactors(reaction?: string): void;
  /** Shows again what the client knows: after `pictures`, `labels` or `texts` have changed. */
  update(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'onetap-bar': OnetapBar;
  }
  interface HTMLElementEventMap {
    'onetap-change': CustomEvent<PostState>;
    /** `code` is also `no_post_id`, told once by an element without one. */
    'onetap-error': CustomEvent<ErrorDetail>;
  }
}
