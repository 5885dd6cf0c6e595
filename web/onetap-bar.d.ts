/** The types of onetap-bar.js: the element `<onetap-bar>`. Importing the module defines it. */

import type { ErrorDetail, Onetap, PostState } from './onetap.js';

/** A user as the forum knows them. */
export interface User {
  id: string | number | bigint;
  name: string;
  /** The user's page. */
  url?: string;
}

/** What the element says, and to whom. For another language: `Object.assign(OnetapBar.texts, { … })`, before the bars are shown. */
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
  /** "Anna, Ben and 12 others". `others` is NaN where nobody knows how many they are. */
  who(names: string[], others: number): string;
  all: string;
  more: string;
  close: string;
  loading: string;
  nobody: string;
  unavailable: string;
  retry: string;
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
  /** Emojis for names of reactions. */
  static pictures: Record<string, string>;
  /** Words for reactions, for those who hear them. */
  static labels: Record<string, string>;
  static texts: Texts;

  /** The client of this bar alone, if set; else the one it uses. */
  get client(): Onetap | undefined;
  set client(client: Onetap | undefined);
  /** Taps, as a press of the reaction's button does. */
  tap(reaction: string): void;
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
