/** Types that the modules use inside. They are not part of the package. */

import type { ServiceClock } from './client/clock.js';
import type { Outbox } from './client/outbox.js';
import type { Posts } from './client/posts.js';
import type { Reads } from './client/reads.js';
import type { Rules } from './client/rules.js';
import type { Service } from './client/service.js';
import type { Streams } from './client/streams.js';
import type { Tabs } from './client/tabs.js';
import type { Pauses } from './client/waits.js';
import type { Writes } from './client/writes.js';
import type { Onetap, Options, Palette, ReactionState, Recent } from './onetap.d.ts';
import type { OnetapBar, Texts } from './onetap-bar.d.ts';

/** The options of a client, with their defaults, and its address without a slash at the end. */
export type Settings = Options &
  Required<Pick<Options, 'gestureMs' | 'retentionMs' | 'timeoutMs' | 'recent' | 'live'>> & {
    base: string;
  };

/** What a client consists of. Each part is given them all. */
export interface Parts {
  settings: Settings;
  /** As addresses name the user: an id, `me`, or nobody. */
  user?: string;
  /** Aborted when the client is closed. */
  signal: AbortSignal;
  /** The code of the last error of reads and streams that the page got. */
  last: { told?: string };
  /** Dispatches an event to the page. */
  emit(type: string, detail: object): void;
  /** Tells the page what went wrong; of what is tried again, only once. */
  tell(answer: Answer, where: object, last?: { told?: string }): void;
  clock: ServiceClock;
  pauses: Pauses;
  service: Service;
  outbox: Outbox;
  posts: Posts;
  reads: Reads;
  rules: Rules;
  streams: Streams;
  tabs: Tabs;
  writes: Writes;
}

/** When something was, on the page's clock, the device's, and the service's if that is known. */
export interface Moment {
  since: number;
  at: number;
  served?: number;
}

/**
 * What the user wants. The key stays the same until an answer comes; `told` is the code of the
 * error told last.
 */
export interface Wish extends Moment {
  reaction: string;
  active: boolean;
  key: string;
  /** In the browser's storage. */
  name: string;
  /** Orders the wishes for one reaction, of all tabs. */
  n: number;
  /** Orders the wishes of this page for all reactions. */
  turn: number;
  /** When, as the device's clock showed it then. */
  made: number;
  /** Another page than the one that made it may have sent it. */
  adopted?: boolean;
  /** It was written there. */
  stored?: boolean;
  told?: string;
}

/** One reaction of a post. */
export interface Cell {
  post: Post;
  reaction: string;
  count: number;
  mine: boolean;
  recent: Recent[];
  /** The count and the own flag have a revision each, since the stream says nothing of the flag. */
  revision: number;
  mineRevision: number;
  /** On the client's own clock: when the newest of this was learned. */
  seen: number;
  /** The newest wish, until it is answered. */
  wish?: Wish;
  /** What is being sent or may have been, in order, until it is answered; the first is next. */
  sent: Wish[];
  /** Takes in what the stream said while a wish was pending. */
  held?: () => void;
  gestureEnd: number;
}

/** What the palettes say; undefined as long as they are not known. */
export interface Judge {
  of(post?: Post): Palette | undefined | void;
  /** The reaction that a name counts as. */
  meant(post: Post | undefined, name: string): string;
  /** Why the service would refuse to add a reaction, by code. */
  refusal(post: Post | undefined, name: string): string | undefined | void;
  /** Whether a user has at most one of these two. */
  exclude(one: Cell, other: Cell): boolean | void;
}

export interface Post {
  id: string;
  watchers: number;
  known?: boolean;
  /** All that is known is a wish of another page. */
  adopted?: boolean;
  /** What was heard of it before it was known whether the user has reacted. */
  early?: () => void;
  locked: boolean;
  add: string;
  /** The name of its palette. */
  palette: string;
  revision: number;
  mineRevision: number;
  seen: number;
  /** By `reactionKey`. */
  cells: Map<string, Cell>;
  /** The keys in the service's order. */
  order: string[];
  /** The last state that the page got. */
  shown?: string;
}

/** A stream with the events of some posts. */
export interface Stream {
  /** Its posts; those whose turn is next come first. */
  ids: string[];
  controller?: AbortController;
}

/** What an attempt came to: the body that was hoped for, or else what went wrong. */
export interface Answer {
  body?: any;
  /** The service had answered this key before. */
  replayed?: boolean;
  code?: string;
  message?: string;
  /** Trying again would not help. */
  dropped?: boolean;
  status?: number;
  problem?: object;
  /** How long the service asks to be left alone. */
  retryMs?: number;
}

/** What a page may set for all bars. */
export type Page = Pick<typeof OnetapBar, 'labels' | 'pictures' | 'resolveReaction'>;

/** What onetap-bar.js gives to its parts, each in a file of its own, whenever one is used. */
export interface Inside {
  /** Makes an element; `className`'s first word is its part. */
  h: any;
  /** Gives the root a style sheet, once. */
  adopt(root: ShadowRoot, css: string): void;
  /** Asks for users; settles when they are known, or are not to be had. */
  learn(ids: string[]): Promise<unknown>;
  /** A sentence as nodes, with strangers' names in <bdi>. */
  nodes(text: string): (string | Node)[];
  texts: Texts;
  root: ShadowRoot;
  bar: HTMLElement;
  client: Onetap;
  post: string;
  language?: string;
  /** The user who is looking. */
  me: string | null;
  /** Whether the page knows names. */
  named: boolean;
  /** The page's list, by `reactionKey`. */
  listed: string[];
  /** Those that somebody has. */
  reactions: ReactionState[];
  of(reaction: string): { reaction: string; count: number; mine: boolean };
  /** Why the user cannot tap it; undefined if they can. */
  refusal(reaction: string): string | undefined;
  label(reaction: string): string;
  /** A count as it is shown everywhere. */
  number(n: number): string;
  person(id: string): { name: string; url?: string };
  /** Who they are as far as the summary knows, and how many, NaN where nobody knows. */
  people(reactions: ReactionState[]): { ids: string[]; people: number };
  /** "Anna, Ben and 12 others". */
  sentence(ids: string[], people: number, most?: number): string;
  /** A picture of it: an image, an emoji or a word. */
  draw(reaction: string): HTMLElement;
  tap(reaction: string): void;
  /** Opens the list of who reacted. */
  show(reaction?: string): void;
}
