/** The types of onetap.js: what a page sees of the client. */

export interface Options {
  /**
   * The service's address, without `/v1`. Default: the address that this module came from. `''` is
   * the page's own origin.
   */
  baseUrl?: string;
  /**
   * The user who taps, where the service believes every caller (open mode). Do not give it together
   * with `token`. A text id (`--user-ids text`) is a string.
   */
  userId?: string | number | bigint;
  /**
   * Returns a token that is good for these posts, one to a hundred. The client sends it as
   * `Authorization: Bearer`, and taps as the token's user. It keeps the token until the service
   * answers 401. Then it calls this once more.
   */
  token?: (postIds: string[]) => string | Promise<string>;
  /**
   * Taps on one reaction within this time, in ms, are one gesture and one wish. Default 400. The
   * client sends the first tap at once. So a page that closes within this time loses nothing.
   */
  gestureMs?: number;
  /**
   * How long the service keeps idempotency keys, in ms (its `--idempotency-retention`). The client
   * cannot repeat an older wish safely. So it drops the wish (`wish_expired`) and reads the state
   * again. Default 600,000.
   */
  retentionMs?: number;
  /**
   * The timeout in ms for one request, and for one call of `token`. Make it longer than the
   * service's own request timeout (2 s). Default 5,000.
   */
  timeoutMs?: number;
  /** How many of the newest users of each reaction to ask for, 0 to 20. Default 0. */
  recent?: number;
  /**
   * Whether to show other people's taps live, by streams. Default true. There is one stream for
   * each hundred watched posts of all tabs, and three at most. The 200 posts that were watched last
   * are always live. Above 300, the rest share the third stream in turns of 5 s. While the page is
   * hidden, the client closes its streams. When the page shows again, the client reads everything.
   */
  live?: boolean;
  /**
   * The client keeps a wish without an answer in the browser's storage, under the user's id, for
   * `retentionMs`. The next client for this user sends it, on this page or another of the site. A
   * page keeps up to a hundred wishes. Further ones, and all where storage is full or blocked, live
   * as long as their page. `false` keeps none. With `token`, the client keeps wishes only if this
   * names the user, such as by their id. Two users must never have the same name.
   */
  outbox?: string | false;
  /** Replaces the global `fetch`. Such a client shares no stream with other tabs. */
  fetch?: typeof fetch;
}

/** One of the newest users of a reaction. */
export interface Recent {
  user_id: string;
  /** RFC 3339. */
  reacted_at: string;
}

/** A post as the service answers it, or as your server rendered it into the page. */
export interface Summary {
  post_id?: string;
  /** Without it, every answer of the service counts as newer. */
  revision?: number;
  locked?: boolean;
  add?: string;
  palette?: string;
  total?: number;
  reactions: { reaction: string; count: number; mine?: boolean; recent?: Recent[] }[];
}

export interface ReactionState {
  /** In the service's spelling; compare by `reactionKey`. */
  reaction: string;
  /** How many users have it, this user's own wish included. */
  count: number;
  /**
   * Whether this user has it, or wishes to. A wish for a reaction that excludes it takes it away at
   * once, if the client knows the palettes; otherwise with the answer.
   */
  mine: boolean;
  /** Whether the service has not confirmed a wish yet, of this page or of an earlier one. */
  pending: boolean;
  /** The newest users as of the last summary, without this user's unconfirmed wish. */
  recent: Recent[];
}

export interface PostState {
  /** In lower case. */
  postId: string;
  revision: number;
  /** A moderator has closed the post: users can only take reactions back. */
  locked: boolean;
  /**
   * What a moderator lets users add: everything in the palette (`all`), only reactions that
   * somebody has already (`existing`), or nothing (`none`). Removing always works.
   */
  add: string;
  /** The name of the palette that taps on the post are judged by. */
  palette: string;
  total: number;
  /**
   * The reactions that somebody has, in the service's order. This user's own tap does not change
   * the order, so that buttons do not jump.
   */
  reactions: ReactionState[];
}

/** What may be added to a post, as the service is configured. */
export interface Palette {
  /** In the order in which to offer them; `*`: every valid name and every emoji. */
  reactions: string[] | '*';
  /** Groups of which a user has at most one reaction on a post; `*`: all exclude each other. */
  exclusive: string[][] | '*';
  /** Other names, each with the reaction that it counts as. */
  aliases: Record<string, string>;
  max_kinds_per_post?: number;
  max_per_user_and_post?: number;
}

export interface ErrorDetail {
  postId?: string;
  reaction?: string;
  /**
   * One of three kinds:
   * - the service's own `code`. A refused tap has `reactions_locked`, `reaction_not_allowed` or
   *   `too_many_reactions`, is `dropped`, and is no longer shown;
   * - `http_404` and the like, if the answer was not the service's. The client then tries again,
   *   whatever the status;
   * - a code of the client: `network_error`, `token_failed`, `unexpected_answer` (HTML, nothing, a
   *   redirect), `wish_expired`, `invalid_post_id`, `invalid_reaction`, `unauthenticated` (neither
   *   `userId` nor `token`).
   */
  code: string;
  status?: number;
  message: string;
  /** The whole problem document. */
  problem?: object;
  /**
   * Whether the client has given up. Otherwise it tries again, and sends another event only when
   * the code changes.
   */
  dropped: boolean;
  /** The wait in ms that the answer asked for (`Retry-After`), a minute at most; 0 without one. */
  retryMs?: number;
}

/** One user on a list of reactors. */
export interface Reactor {
  user_id: string;
  reaction: string;
  reacted_at?: string;
}

export interface OnetapEvents {
  'onetap-change': CustomEvent<PostState>;
  'onetap-error': CustomEvent<ErrorDetail>;
}

export class Onetap extends EventTarget {
  /**
   * Throws a TypeError for options that make no sense: an invalid id, or `userId` and `token`
   * together.
   */
  constructor(options?: Options);
  /**
   * Starts to watch a post, with `initial` as its first state if given. Returns a function that
   * stops it. Several callers may watch one post; the last one to stop ends it.
   */
  watch(postId: string, initial?: Summary): () => void;
  /** What to show the user. Undefined until the counts and the user's own reactions are known. */
  state(postId: string): PostState | undefined;
  /**
   * The user touched the button: flips the shown state. Further taps of the same gesture do nothing.
   * `at` is the time of the touch, an event's `timeStamp`; default: now. Pass it, because a page that
   * was busy between two taps might otherwise see two gestures in them.
   */
  tap(postId: string, reaction: string, at?: number): void;
  /** Turns a reaction on or off: for a checkbox, a menu, an undo. */
  wish(postId: string, reaction: string, active: boolean): void;
  /**
   * The palettes of the service, by name; undefined if it does not say. Asked once; call it early.
   * From then on the client shows exclusive groups and aliases at once, and knows `refusal`.
   */
  palettes(): Promise<Record<string, Palette> | undefined>;
  /** The post's palette, once `palettes` has settled. */
  palette(postId: string): Palette | undefined;
  /** The reaction that a name counts as on this post: itself, unless it is an alias. */
  counted(postId: string, reaction: string): string;
  /**
   * The code with which the service would refuse to add a reaction, once `palettes` has settled:
   * `reactions_locked` or `reaction_not_allowed`. The service alone knows whether there are too
   * many.
   */
  refusal(postId: string, reaction: string): string | undefined;
  /**
   * The users who reacted, newest first. After three failed attempts it rejects with an Error that
   * has the fields of an ErrorDetail.
   */
  reactors(
    postId: string,
    query?: { reaction?: string; limit?: number; cursor?: string },
  ): Promise<{ users: Reactor[]; next_cursor: string | null }>;
  /** The service's time in ms, by its last answer. Before the first answer: this device's time. */
  now(): number;
  /** Resolves when every wish, adopted ones included, is confirmed or dropped. */
  settled(): Promise<void>;
  /** Sends the waiting wishes, and ends. No event follows. Wishes without an answer stay stored. */
  close(): void;
  addEventListener<K extends keyof OnetapEvents>(
    type: K,
    listener: ((event: OnetapEvents[K]) => void) | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/**
 * A key that is the same for all spellings of one reaction, such as an emoji with and without
 * U+FE0F.
 */
export function reactionKey(reaction: string): string;
/**
 * The post id for the number of a post, for a forum that numbers its posts: 0 … 2^62 − 1. Throws a
 * RangeError for any other number.
 *
 * A forum that numbers its posts, comments and photos separately gives each a kind, 1 … 16383. Then
 * the number is at most 2^48 − 1.
 */
export function postIdFromInteger(n: number | bigint | string, kind?: number): string;
/** The number in such a post id, `kind * 2^48 + n`; null for any other id. */
export function integerFromPostId(id: string): bigint | null;
