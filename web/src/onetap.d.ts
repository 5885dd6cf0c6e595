/** The types of onetap.js: what a page sees of the client. */

export interface Options {
  /**
   * Where the service is, without `/v1`. Default: where this module was loaded from; `''` is the
   * page's own origin.
   */
  baseUrl?: string;
  /**
   * Whose taps these are, where the service takes everyone's word (open mode). Not together with
   * `token`.
   */
  userId?: string | number | bigint;
  /**
   * A token (sent as `Authorization: Bearer`) that is good for these posts; the user is the
   * token's. It is kept until the service answers 401, then asked for again, once. It may be called
   * for one post or for up to a hundred at once.
   */
  token?: (postIds: string[]) => string | Promise<string>;
  /**
   * Taps on one reaction within this time of a gesture's first are that same one wish. Default 400.
   * The first is sent at once, so a page that is hidden or closed within it loses nothing.
   */
  gestureMs?: number;
  /**
   * How long the service keeps idempotency keys (its `--idempotency-retention-seconds`). A wish
   * that is older cannot be repeated safely: it is dropped (`wish_expired`) and the state read
   * again. Default 600,000.
   */
  retentionMs?: number;
  /**
   * For one request, and for one call of `token`. More than the service's own request timeout (2
   * s). Default 5,000.
   */
  timeoutMs?: number;
  /** How many of the newest users of each reaction to ask for, 0 to 20. Default 0. */
  recent?: number;
  /**
   * Keep a stream open for the watched posts, so that other people's taps are seen. Default true.
   * One for each hundred of all tabs, three at most: the 200 that are watched last are always live;
   * those above 300 take turns of 5 s with the third. Closed while the page is hidden; shown again,
   * it reads everything anew.
   */
  live?: boolean;
  /**
   * A wish without an answer is kept in the browser's storage, under the user's id, and the next
   * client for this user sends it, on this page or another of the site, for `retentionMs`. Up to a
   * hundred for each page; others, and all where storage is full or blocked, live as long as their
   * page. `false`: none are kept. With `token`, they are only if this names the user, by their id
   * or the like: it must never be the same for two users.
   */
  outbox?: string | false;
  /** Used instead of the global `fetch`. A client with its own shares no stream with other tabs. */
  fetch?: typeof fetch;
}

/** A user among the newest of a reaction. */
export interface Recent {
  user_id: string;
  /** RFC 3339. */
  reacted_at: string;
}

/** A post as the service answers it, or as the server rendered it into the page. */
export interface Summary {
  post_id?: string;
  /** Without it anything that the service says is newer. */
  revision?: number;
  locked?: boolean;
  total?: number;
  reactions: { reaction: string; count: number; mine?: boolean; recent?: Recent[] }[];
}

export interface ReactionState {
  /** As the service spells it; compare by `reactionKey`. */
  reaction: string;
  /** How many users have it, as this user sees it: with their own wish. */
  count: number;
  /** Whether this user has it, or wishes to. */
  mine: boolean;
  /** A wish that the service has not confirmed yet, of this page or of one before. */
  pending: boolean;
  /** The newest users as of the last summary: an own wish is not in it yet. */
  recent: Recent[];
}

export interface PostState {
  /** In lower case. */
  postId: string;
  revision: number;
  /** A moderator has closed the post: reactions can only be taken back. */
  locked: boolean;
  total: number;
  /**
   * In the service's order (that does not change with an own tap, so that buttons do not jump),
   * without those that nobody has.
   */
  reactions: ReactionState[];
}

export interface ErrorDetail {
  postId?: string;
  reaction?: string;
  /**
   * The service's `code`; `http_404` and the like where the answer was not the service's, which is
   * tried again whatever its status; or one of
   * the client's own: `network_error`, `token_failed`, `unexpected_answer` (HTML, nothing, a
   * redirect), `wish_expired`, `invalid_post_id`, `invalid_reaction`, `unauthenticated` (neither
   * `userId` nor `token`).
   */
  code: string;
  status?: number;
  message: string;
  /** The whole problem document. */
  problem?: object;
  /**
   * Whether what was tried is given up. Otherwise it is tried again, and told again only when the
   * code changes.
   */
  dropped: boolean;
  /** How long the answer asked for (`Retry-After`), a minute at most; 0 if it did not. */
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
   * Throws a TypeError for options that cannot be meant: an id that is none, `userId` and `token`
   * at once.
   */
  constructor(options?: Options);
  /**
   * Starts to keep a post's state, from `initial` on if given. Answers how to stop; counted, so two
   * may watch one post.
   */
  watch(postId: string, initial?: Summary): () => void;
  /** What the user should see, or undefined as long as it is not known, own reactions included. */
  state(postId: string): PostState | undefined;
  /**
   * The user touched the button: flips what is shown. Further taps of the same gesture do nothing.
   * `at` is the time of the touch, an event's `timeStamp`. Without it a page that was busy between
   * the two taps of a gesture may take them for two gestures. Default: now.
   */
  tap(postId: string, reaction: string, at?: number): void;
  /** The user wants it on or off: for a checkbox, a menu, an undo. */
  wish(postId: string, reaction: string, active: boolean): void;
  /**
   * Who reacted, newest first. Asked for up to three times; then rejects with an Error that has an
   * ErrorDetail's fields.
   */
  reactors(
    postId: string,
    query?: { reaction?: string; limit?: number; cursor?: string },
  ): Promise<{ users: Reactor[]; next_cursor: string | null }>;
  /** The service's time in ms, by its last answer; this device's as long as there is none. */
  now(): number;
  /** When every wish is confirmed or dropped, adopted ones included. */
  settled(): Promise<void>;
  /** Sends what waits, and ends. Nothing is told any more. What has no answer stays in storage. */
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
 * The same for all spellings that the service takes for one reaction (an emoji with and without
 * U+FE0F).
 */
export function reactionKey(reaction: string): string;
/**
 * The post id of a forum that numbers its posts: 0 … 2^62 − 1. Throws a RangeError for anything
 * else.
 */
export function postIdFromInteger(n: number | bigint | string): string;
/** The number in such a post id; null for any other. */
export function integerFromPostId(id: string): bigint | null;
