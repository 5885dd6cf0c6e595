/**
 * <onetap-bar post-id="…">: the reactions of one post. Everything that is sent and kept is the
 * client's business (onetap.js); this file shows it.
 *
 * The children of the element are what is seen before this file has loaded, and without it.
 */
import { Onetap, postIdFromInteger, reactionKey } from './onetap.js';

const SHEET = new CSSStyleSheet();
SHEET.replaceSync(`
:host { display: block; font: var(--onetap-font, 500 .875rem/1.25 system-ui, sans-serif);
  --_accent: var(--onetap-accent, light-dark(#1d4ed8, #93c5fd));
  --_text: var(--onetap-color, light-dark(#334155, #cbd5e1));
  --_back: var(--onetap-background, light-dark(#f1f5f9, #1e293b));
  --_line: var(--onetap-border, light-dark(#e2e8f0, #334155));
  --_panel: var(--onetap-panel, light-dark(#fff, #0f172a));
  --_size: var(--onetap-size, 2.25rem);
  --_radius: var(--onetap-radius, 999px);
  color: var(--_text); -webkit-tap-highlight-color: transparent }
:host([post-id]) { min-block-size: var(--_size) }
:host([hidden]), [hidden] { display: none !important }
@media (pointer: coarse) { :host { --_size: var(--onetap-size, 2.75rem) } }
* { box-sizing: border-box }
button { font: inherit; color: inherit; cursor: pointer; touch-action: manipulation;
  background: none; border: 1px solid transparent; border-radius: var(--_radius); padding: 0 .7em;
  min-block-size: var(--_size); min-inline-size: var(--_size); transition: background .15s, border-color .15s }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 2px }
button[disabled] { cursor: default }
.bar { display: flex; flex-wrap: wrap; gap: .375rem; align-items: center; min-block-size: var(--_size) }
.bar.unknown { visibility: hidden }
.reaction, .add { display: inline-flex; align-items: center; justify-content: center; gap: .4em;
  background: var(--_back); border-color: var(--_line); white-space: nowrap; user-select: none }
.reaction:is(:hover, :focus-visible):not([disabled]), .add:hover { border-color: var(--_accent) }
.reaction[aria-pressed=true] { color: var(--_accent); border-color: currentColor;
  background: color-mix(in srgb, var(--_accent) 14%, var(--_panel)) }
.picture { font-size: 1.2em; line-height: 1 }
.picture, .option { font-family: "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji", system-ui, sans-serif }
.word { font: inherit }
.count { font-variant-numeric: tabular-nums; min-inline-size: 1ch; text-align: center }
.count:empty { display: none }
.pending > span { animation: wait 0s 1s both }
.problem { display: flex; gap: .375rem; align-items: center; margin: 0; font-weight: 400;
  color: var(--onetap-problem, light-dark(#b91c1c, #fca5a5)) }
.dismiss { min-block-size: 2rem; min-inline-size: 2rem; padding: 0 }
.add { padding: 0; color: var(--_text) }
.add svg { inline-size: 1.35em; fill: none; stroke: currentColor; stroke-width: 1.7; stroke-linecap: round }
.who { flex: 1 1 8em; min-inline-size: 0; min-block-size: 2rem; text-align: start; padding-inline: .4em; font-weight: 400;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap; border-radius: .5em }
.who:hover { text-decoration: underline }
.who:empty { visibility: hidden }
.picker { position: fixed; inset: 0 auto auto 0; margin: 0; padding: .375rem; border: 1px solid var(--_line);
  border-radius: 1.5rem; background: var(--_panel); color: inherit; max-inline-size: min(8 * var(--_size) + 1.75rem, 96vw);
  max-block-size: 70dvh; overflow-y: auto;
  box-shadow: 0 8px 30px #0003 }
.picker:popover-open { display: flex; flex-wrap: wrap; gap: .125rem }
.option { font-size: 1.25em; padding: 0 .3em }
.option:hover { background: var(--_back) }
.option[aria-pressed=true] { background: color-mix(in srgb, var(--_accent) 18%, var(--_panel)) }
dialog { inline-size: min(26rem, 100vw); max-inline-size: none; max-block-size: min(36rem, 85dvh); padding: 0;
  border: 1px solid var(--_line); border-radius: 1rem; background: var(--_panel); color: inherit;
  flex-direction: column; box-shadow: 0 20px 60px #0006; overscroll-behavior: contain }
dialog[open] { display: flex }
dialog::backdrop { background: #0008 }
header { display: flex; align-items: center; padding-block-start: .5rem; padding-inline: 1.25rem .5rem }
h2 { flex: 1; margin: 0; font-size: 1.0625rem; font-weight: 650 }
.tabs { display: flex; gap: .25rem; padding: .5rem 1rem; overflow-x: auto; flex: none;
  border-block-end: 1px solid var(--_line) }
.tab[aria-pressed=true] { background: var(--_back); border-color: var(--_line); color: var(--_accent) }
ul { list-style: none; margin: 0; padding: .375rem 0; overflow-y: auto; min-block-size: 6rem }
li { display: flex; align-items: center; gap: .75rem; padding: .4rem 1.25rem }
li > :nth-child(2) { flex: 1; min-inline-size: 0; overflow-wrap: anywhere; color: inherit }
.face { flex: none; inline-size: 2rem; block-size: 2rem; border-radius: 50%; display: grid;
  place-items: center; background: var(--_back); font-weight: 600 }
time { font-weight: 400; opacity: .8; font-size: .8125rem; white-space: nowrap }
.more { inline-size: 100%; color: var(--_accent) }
.note { justify-content: center; font-weight: 400 }
.spoken { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%) }
@media (max-width: 480px) {
  dialog { inset: auto 0 0; margin: 0; inline-size: 100vw; border-radius: 1rem 1rem 0 0; border-block-end: 0;
    padding-block-end: env(safe-area-inset-bottom) } }
@media (prefers-reduced-motion: no-preference) {
  .pop .picture { animation: pop .3s } dialog[open], .picker:popover-open { animation: rise .15s } }
@keyframes pop { 40% { transform: scale(1.35) rotate(-8deg) } }
@keyframes wait { to { opacity: .5 } }
@keyframes rise { from { opacity: 0; transform: translateY(.5rem) } }
@media (forced-colors: active) { [aria-pressed=true] { border: 2px solid Highlight } }
`);

/** An element with properties or attributes, whose first class is its part, and children. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else if (value !== undefined) element.setAttribute(name, value);
  }
  if (properties.className) element.part = element.classList[0];
  element.append(...children.filter(Boolean));
  return element;
}

const FACE = '<svg viewBox="0 0 24 24" aria-hidden="true"><path'
  + ' d="M20 11a9 9 0 1 1-8-8M8 14.5s1.2 2 3.5 2 3.5-2 3.5-2M8.5 9.5h.01M14 9.5h.01M19 2v6M16 5h6"/></svg>';

/** What is known of users by id; the promise of it while they are asked for. */
const users = new Map();
/** Ids for the next call, and that call. */
let asked = [];
let asking;
/** Clients made from attributes, by these. */
const clients = new Map();
/** Elements that are in a document. */
const connected = new Set();
let shared;
/** How long a list of who reacted waits for their names. */
const NAMES_MS = 3_000;
/** An answer that takes longer is worth a word. */
const WAIT_MS = 1_000;

/** What the page's author should hear, once. */
const warned = new Set();
const warn = (text) => {
  if (!warned.has(text)) console.warn(`onetap-bar: ${text}`);
  warned.add(text);
};

/** Asks for names that are not known yet: all bars of a page in one call. */
function learn(ids) {
  for (const id of ids) {
    if (!OnetapBar.resolveUsers || users.has(id)) continue;
    asked.push(id);
    asking ??= Promise.resolve().then(ask);
    users.set(id, asking);
  }
  return Promise.all(ids.map((id) => users.get(id)));
}

async function ask() {
  const ids = asked;
  asked = [];
  asking = undefined;
  try {
    const found = (await OnetapBar.resolveUsers?.(ids)) ?? [];
    for (const id of ids) users.set(id, found.find((user) => String(user.id) === id));
    for (const bar of connected) bar.update();
  } catch (error) {
    // Asked again when they are next shown.
    for (const id of ids) users.delete(id);
    warn(`resolveUsers: ${error}`);
  }
}

/** What is no post either way is left to the client to refuse. @param {string} id */
const postOf = (id) => {
  try {
    return /^\d+$/.test(id) ? postIdFromInteger(id) : id;
  } catch {
    return id;
  }
};

export class OnetapBar extends HTMLElement {
  static observedAttributes = ['post-id', 'summary', 'reactions', 'quick', 'base-url', 'user-id', 'recent', 'readonly'];

  /** @type {((ids: string[]) => any) | undefined} */
  static resolveUsers;

  static pictures = { like: '👍', love: '❤️', laugh: '😄', wow: '😮', sad: '😢', angry: '😠' };

  static labels = {};

  static texts = {
    reactions: 'Reactions',
    add: 'Add a reaction',
    button: (label, count) => (count ? `${label}, ${count}` : label),
    added: (label, count) => `${label} added, ${count} in all`,
    removed: (label, count) => `${label} removed, ${count} left`,
    waiting: (label) => `${label} not saved yet`,
    failed: (label, { code, message }) =>
      `${label} could not be saved and was undone: ${OnetapBar.texts.problems[code] ?? message}`,
    problems: { unauthenticated: 'sign in first', wish_expired: 'no connection for too long' },
    you: 'You',
    user: (id) => `User ${id}`,
    // NaN: nobody knows how many.
    who(names, others) {
      if (!names.length) return others === 1 ? '1 person' : others > 0 ? `${others} people` : others ? 'Several people' : '';
      if (others !== 0) names = [...names, others === 1 ? '1 other' : others > 0 ? `${others} others` : 'others'];
      return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0];
    },
    all: 'All',
    more: 'Show more',
    close: 'Close',
    loading: 'Loading …',
    nobody: 'Nobody yet',
    unavailable: 'The list could not be loaded',
    retry: 'Try again',
  };

  /** The client of all bars that have none of their own. */
  static get client() { return shared; }

  static set client(client) {
    shared = client;
    for (const bar of connected) bar.#schedule();
  }

  #own;
  #client;
  #post;
  #stop;
  #scheduled = false;
  #summaryTold = false;
  #warned = false;
  #childrenUsed = false;
  /** Reactions that have a button: one that has been shown does not go away under a finger. */
  #buttons = new Map();
  #root;
  #bar;
  #add;
  #who;
  #picker;
  #dialog;
  #spoken = h('div', { className: 'spoken', role: 'status' });
  #problem = h('p', { className: 'problem', hidden: true });
  /** Reactions with a wish, and the timers that say so. */
  #waits = new Map();

  /** The client of this bar alone. */
  get client() { return this.#client; }

  set client(client) {
    this.#own = client;
    this.#schedule();
  }

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    this.#root.adoptedStyleSheets = [SHEET];
    this.#root.append(h('slot'));
  }

  connectedCallback() {
    connected.add(this);
    // Given before this file had loaded, it hides what is behind the name.
    if (Object.hasOwn(this, 'client')) {
      this.#own = Reflect.get(this, 'client');
      Reflect.deleteProperty(this, 'client');
    }
    this.#schedule();
  }

  disconnectedCallback() {
    connected.delete(this);
    this.#schedule();
  }

  attributeChangedCallback(name) {
    this.#summaryTold ||= name === 'summary';
    this.#schedule();
  }

  /** After all that the page does in one go: a move, several attributes, the page's own client. */
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#attach();
    });
  }

  #attach() {
    const id = this.getAttribute('post-id')?.trim().toLowerCase();
    const post = this.isConnected && id ? postOf(id) : undefined;
    const client = post && (this.#own ?? shared ?? this.#made());
    if (client !== this.#client || post !== this.#post) {
      this.#detach();
      [this.#client, this.#post] = [client, post];
      if (post) this.#begin();
    } else if (this.#stop && this.#summaryTold) {
      const stop = this.#stop;
      this.#stop = client.watch(post, this.#initial());
      stop();
    }
    this.#summaryTold = false;
    if (this.isConnected && !post && !this.#warned) {
      this.#warned = true;
      warn('no post-id');
      this.#emit('onetap-error', { code: 'no_post_id', message: 'the element has no post-id' });
    }
    this.update();
  }

  #made() {
    const options = {
      baseUrl: this.getAttribute('base-url') ?? undefined,
      userId: this.getAttribute('user-id') ?? undefined,
      recent: Number(this.getAttribute('recent') ?? 3),
    };
    const key = JSON.stringify(options);
    if (!clients.has(key)) {
      try {
        clients.set(key, new Onetap(options));
      } catch (error) {
        warn(error);
        // Shown, and tapped by nobody.
        clients.set(key, new Onetap({ ...options, userId: undefined }));
      }
    }
    return clients.get(key);
  }

  #begin() {
    if (!this.#childrenUsed && document.readyState === 'loading' && !this.hasAttribute('summary')) {
      // The parser may not have come to the children yet; until then they are what is seen.
      document.addEventListener('DOMContentLoaded', () => {
        this.#client = this.#post = undefined;
        this.#schedule();
      }, { once: true });
      return;
    }
    this.#client.addEventListener('onetap-change', this);
    this.#client.addEventListener('onetap-error', this);
    this.#stop = this.#client.watch(this.#post, this.#initial());
    this.#childrenUsed = true;
  }

  /** What is being written goes on: it is the client's. */
  #detach() {
    this.#stop?.();
    this.#client?.removeEventListener('onetap-change', this);
    this.#client?.removeEventListener('onetap-error', this);
    this.#dialog?.close();
    this.#picker?.hidePopover();
    this.#stop = undefined;
    for (const button of this.#buttons.values()) button.remove();
    this.#buttons.clear();
    for (const reaction of this.#waits.keys()) this.#waited(reaction);
    this.#problem.hidden = true;
    this.#who?.replaceChildren();
  }

  /** What the page says of the post: in the attribute, or in its children. */
  #initial() {
    try {
      const summary = JSON.parse(this.getAttribute('summary') ?? 'null');
      if (summary?.post_id === this.#post) return summary;
    } catch (error) {
      warn(`the summary is not JSON: ${error}`);
    }
    const buttons = this.#childrenUsed ? [] : [...this.querySelectorAll(/** @type {'button'} */ ('button[name=reaction]'))];
    if (!buttons.length) return undefined;
    const reactions = buttons.map((button) => ({
      reaction: button.value,
      count: Number(button.querySelector('data')?.value ?? 0),
      mine: button.getAttribute('aria-pressed') === 'true',
    }));
    return { reactions };
  }

  handleEvent({ type, detail }) {
    // What befalls all posts is the client's to tell; what it knows so far is shown.
    if (detail.postId === this.#post) this.#emit(type, detail);
    else if (detail.postId) return;
    // An answer of whoever else is at the address may be a slip in the page or the proxy.
    if (detail.dropped || detail.status < 500) warn(`${detail.code}: ${detail.message}`);
    if (detail.reaction && detail.dropped) this.#fail(detail);
    this.update(type === 'onetap-error');
  }

  /** For eyes and ears, until it is dismissed or the next tap. */
  #fail(detail) {
    this.#waited(reactionKey(detail.reaction));
    const text = OnetapBar.texts.failed(this.#label(detail.reaction), detail);
    this.#say(text);
    this.#problem.replaceChildren(text, h('button', { className: 'dismiss', type: 'button', textContent: '×',
      'aria-label': OnetapBar.texts.close, onclick: () => {
        this.#bar.querySelector('button:enabled')?.focus();
        this.#problem.hidden = true;
      } }));
    this.#problem.hidden = false;
  }

  #waited(reaction) {
    clearTimeout(this.#waits.get(reaction));
    return this.#waits.delete(reaction);
  }

  /** A wish is said when it is saved, or if that takes long. */
  #follow(reaction, label, { pending, mine, count }) {
    const { texts } = OnetapBar;
    if (!pending && this.#waited(reaction)) this.#say(texts[mine ? 'added' : 'removed'](label, count));
    if (!pending || this.#waits.has(reaction)) return;
    this.#waits.set(reaction, setTimeout(() => this.#say(texts.waiting(label)), WAIT_MS));
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  #say(text) { this.#spoken.textContent = text; }

  /** The page's list by key, each with its picture: "like", "👍", "helpful=💡". */
  #list() {
    const words = (this.getAttribute('reactions') ?? 'like').split(/\s+/).filter(Boolean);
    return new Map(words.map((word) => {
      const [reaction, picture] = word.split('=');
      return [reactionKey(reaction), picture ?? OnetapBar.pictures[reaction] ?? this.#shape(reaction)];
    }));
  }

  /** A name is shown as a word, an emoji as it is. */
  #shape(reaction) { return /^[\w+-]+$/.test(reaction) ? this.#label(reaction) : reaction; }

  #picture(key) { return this.#list().get(key) ?? OnetapBar.pictures[key] ?? this.#shape(this.#of(key).reaction); }

  #label(reaction) {
    const words = reaction.replace(/[_-]+/g, ' ').trim() || reaction;
    return OnetapBar.labels[reaction] ?? words[0].toUpperCase() + words.slice(1);
  }

  get #language() { return this.closest('[lang]')?.getAttribute('lang') || undefined; }

  /** Taps, as the reaction's button does. */
  tap(reaction) {
    if (!this.#stop) return;
    const before = this.#of(reaction);
    this.#client.tap(this.#post, reaction);
    const { mine } = this.#of(reaction);
    // The second tap of a gesture changes nothing.
    if (mine === before.mine) return;
    this.#problem.hidden = true;
    this.update();
    const button = this.#buttons.get(reactionKey(reaction));
    button?.classList.remove('pop');
    // Read so that the animation begins anew.
    if (mine && button?.offsetWidth) button.classList.add('pop');
  }

  #of(reaction) {
    const found = this.#client.state(this.#post)?.reactions.find((r) => reactionKey(r.reaction) === reactionKey(reaction));
    return found ?? { reaction, count: 0, mine: false };
  }

  #build() {
    const { texts } = OnetapBar;
    this.#picker = h('div', { className: 'picker', popover: 'auto', role: 'group', 'aria-label': texts.add });
    this.#picker.addEventListener('beforetoggle', (event) => {
      if (event.newState === 'open') this.#fillPicker();
      else if (this.#picker.contains(this.#root.activeElement)) this.#add.focus({ preventScroll: true });
    });
    // It stays where it is in the window, so it goes when its button moves.
    const hide = () => this.#picker.hidePopover();
    this.#picker.addEventListener('toggle', ({ newState }) => {
      removeEventListener('scroll', hide, true);
      if (newState !== 'open') return;
      this.#placePicker();
      addEventListener('scroll', hide, { once: true, capture: true });
    });
    this.#add = h('button', { className: 'add', type: 'button', title: texts.add, 'aria-label': texts.add,
      innerHTML: FACE, popoverTargetElement: this.#picker });
    this.#who = h('button', { className: 'who', type: 'button', onclick: () => this.showReactors() });
    this.#bar = h('div', { className: 'bar', role: 'group', 'aria-label': texts.reactions }, this.#add, this.#who);
    this.#root.append(this.#bar, this.#problem, this.#picker, this.#spoken);
  }

  /** Shows what the client knows; `anyway` before it knows anything. */
  update(anyway = false) {
    if (this.#bar) this.#bar.hidden = !this.#stop;
    if (!this.#stop) return;
    const state = this.#client.state(this.#post);
    const known = state || anyway;
    const slot = this.#root.querySelector('slot');
    // Until then the children are seen; if there are none, the room is kept.
    if (!known && slot && this.children.length) return;
    if (!this.#bar) this.#build();
    if (known) slot?.remove();
    this.#bar.classList.toggle('unknown', !known);
    const readonly = this.hasAttribute('readonly');
    const quick = Number(this.getAttribute('quick') ?? 1);
    const listed = [...this.#list().keys()];
    const present = state?.reactions.map(({ reaction }) => reactionKey(reaction)) ?? [];
    const shown = new Set([...listed.slice(0, quick), ...present, ...this.#buttons.keys()]);
    // In the page's order: by count they would change places under a finger.
    const order = [...listed.filter((r) => shown.has(r)), ...[...shown].filter((r) => !listed.includes(r))];
    let place = this.#bar.firstChild;
    for (const reaction of order) {
      const button = this.#button(reaction);
      if (button === place) place = place.nextSibling;
      else this.#bar.insertBefore(button, place);
      this.#fillButton(reaction, readonly || state?.locked, readonly);
    }
    this.#add.hidden = readonly || state?.locked || listed.length <= quick;
    const who = this.#names(state?.reactions.filter(({ count }) => count) ?? []);
    if (this.#who.textContent !== who) this.#who.title = this.#who.textContent = who;
  }

  #button(reaction) {
    let button = this.#buttons.get(reaction);
    if (!button) {
      button = h('button', { className: 'reaction', type: 'button', onclick: () => this.tap(reaction) },
        h('span', { className: 'picture', 'aria-hidden': 'true' }),
        h('span', { className: 'count', 'aria-hidden': 'true' }));
      // A key that is held down is one tap.
      button.addEventListener('keydown', (event) => event.repeat && event.key === 'Enter' && event.preventDefault());
      this.#buttons.set(reaction, button);
    }
    return button;
  }

  #fillButton(reaction, locked, readonly) {
    const state = this.#of(reaction);
    const { count, mine, pending } = state;
    const button = this.#buttons.get(reaction);
    const [label, picture] = [this.#label(reaction), this.#picture(reaction)];
    button.firstChild.textContent = picture;
    button.firstChild.classList.toggle('word', /\w/.test(picture));
    const number = new Intl.NumberFormat(this.#language, { notation: 'compact' }).format(count);
    button.setAttribute('aria-pressed', String(mine));
    button.part = `reaction reaction-${reaction}${mine ? ' pressed' : ''}${pending ? ' pending' : ''}`;
    button.classList.toggle('pending', !!pending);
    this.#follow(reaction, label, state);
    button.setAttribute('aria-label', OnetapBar.texts.button(label, count));
    // What is there may be taken away from a locked post.
    button.disabled = readonly || (locked && !mine);
    if (button.lastChild.textContent !== (count ? number : '')) button.lastChild.textContent = count ? number : '';
    const who = count ? this.#names([state]) : '';
    button.title = who ? `${label}: ${who}` : label;
  }

  /** Whom a list names, newest first. This user's own flag is newer than any list. */
  #known({ mine, recent = [] }) {
    const me = this.getAttribute('user-id');
    const times = new Map(recent.map((user) => [user.user_id, user.reacted_at]));
    times.delete(me);
    return mine && me ? times.set(me, '~') : times;
  }

  /** "Anna, Ben and 12 others", of these reactions. */
  #names(reactions) {
    const me = this.getAttribute('user-id');
    const known = reactions.map((reaction) => this.#known(reaction));
    const times = new Map(known.flatMap((times) => [...times]));
    const ids = [...times.keys()].sort((a, b) => (times.get(a) < times.get(b) ? 1 : -1));
    // Who has two reactions is one person, and how many those are is only known if the lists are whole.
    const whole = known.every(({ size }, i) => size >= reactions[i].count);
    const people = reactions.length < 2 ? (reactions[0]?.count ?? 0) : whole ? ids.length : NaN;
    learn(ids.slice(0, 3));
    const names = ids.filter((id) => id === me || users.get(id)?.name).slice(0, 2)
      .map((id) => (id === me ? OnetapBar.texts.you : users.get(id).name));
    return OnetapBar.texts.who(names, people - names.length);
  }

  #fillPicker() {
    // Until it has its place.
    this.#picker.style.visibility = 'hidden';
    this.#picker.replaceChildren(...[...this.#list().keys()].map((reaction) => {
      const [label, picture] = [this.#label(reaction), this.#picture(reaction)];
      return h('button', { className: `option ${/\w/.test(picture) ? 'word' : ''}`, type: 'button',
        title: label, 'aria-label': label, 'aria-pressed': String(this.#of(reaction).mine), textContent: picture,
        onclick: () => {
          this.#picker.hidePopover();
          this.tap(reaction);
        } });
    }));
  }

  /** Above its button, or below where there is no room, and within the window. */
  #placePicker() {
    const [from, { width, height }] = [this.#add.getBoundingClientRect(), this.#picker.getBoundingClientRect()];
    const left = getComputedStyle(this).direction === 'rtl' ? from.right - width : from.left;
    const top = from.top - height - 6 < 8 ? Math.min(from.bottom + 6, innerHeight - height - 8) : from.top - height - 6;
    this.#picker.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
    this.#picker.style.top = `${top}px`;
    this.#picker.style.visibility = '';
    this.#picker.querySelector('button')?.focus({ preventScroll: true });
  }

  /** Opens the list of who reacted; of one reaction, if it is named. */
  showReactors(reaction) {
    if (!this.#stop) return;
    const { texts } = OnetapBar;
    if (!this.#dialog) {
      const close = h('button', { className: 'close', type: 'button', 'aria-label': texts.close, textContent: '✕',
        onclick: () => this.#dialog.close() });
      this.#dialog = h('dialog', { className: 'dialog', 'aria-label': texts.reactions },
        h('header', {}, h('h2', { className: 'heading' }, texts.reactions), close),
        h('div', { className: 'tabs' }), h('ul', { className: 'list', tabIndex: 0, 'aria-label': texts.reactions }));
      // A click beside it closes it.
      this.#dialog.addEventListener('click', (event) => event.target === this.#dialog && this.#dialog.close());
      this.#root.append(this.#dialog);
    }
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#fillTabs(reaction);
    this.#page(reaction);
  }

  #fillTabs(chosen) {
    const reactions = this.#client.state(this.#post)?.reactions ?? [];
    const some = reactions.filter(({ count }) => count);
    const tab = (reaction, text, label) => h('button', { className: 'tab', type: 'button', textContent: text,
      'aria-label': label, 'aria-pressed': String(reaction === chosen), onclick: () => this.showReactors(reaction) });
    this.#dialog.querySelector('.tabs').replaceChildren(tab(undefined, OnetapBar.texts.all),
      ...some.map(({ reaction, count }) => tab(reaction, `${this.#picture(reactionKey(reaction))} ${count}`,
        OnetapBar.texts.button(this.#label(reaction), count))));
    this.#dialog.querySelector('.tab[aria-pressed=true]')?.focus();
  }

  /** The next page of the list takes the place of the line that asked for it. */
  async #page(reaction, cursor, asker) {
    const { texts } = OnetapBar;
    const list = this.#dialog.querySelector('ul');
    const note = (text) => h('li', { className: 'note', role: 'status' }, text);
    const line = note(texts.loading);
    if (asker) asker.replaceWith(line);
    else list.replaceChildren(line);
    const again = (text, cursor) => {
      const item = h('li', {}, h('button', { className: 'more', type: 'button', textContent: text,
        onclick: () => this.#page(reaction, cursor, item) }));
      return item;
    };
    try {
      const page = await this.#client.reactors(this.#post, { reaction, cursor });
      const names = learn(page.users.map((user) => user.user_id));
      await Promise.race([names, new Promise((resolve) => setTimeout(resolve, NAMES_MS))]);
      // Another list has been asked for meanwhile.
      if (!line.isConnected) return;
      const items = page.users.map((user) => this.#item(user));
      if (!items.length && !cursor) items.push(note(texts.nobody));
      if (page.next_cursor) items.push(again(texts.more, page.next_cursor));
      line.replaceWith(...items);
      if (asker) (items[0]?.querySelector('a') ?? list).focus();
    } catch {
      if (line.isConnected) line.replaceWith(note(texts.unavailable), again(texts.retry, cursor));
    }
  }

  #item({ user_id: id, reaction, reacted_at: at }) {
    const { name = OnetapBar.texts.user(id), url = '' } = users.get(id) ?? {};
    return h('li', { className: 'user' },
      h('span', { className: 'face', 'aria-hidden': 'true' }, [...name][0]),
      /^(https?:|[/.?#])/.test(url) ? h('a', { href: url }, name) : h('span', {}, name),
      at && h('time', { dateTime: at, title: new Date(at).toLocaleString(this.#language) }, this.#ago(at)),
      reaction && h('span', { role: 'img', 'aria-label': this.#label(reaction) }, this.#picture(reactionKey(reaction))));
  }

  #ago(at) {
    const format = new Intl.RelativeTimeFormat(this.#language, { numeric: 'auto' });
    // By the service's clock, and never in the future, whatever time it is here.
    let value = Math.min(0, Date.parse(at) - this.#client.now()) / 1000;
    for (const [unit, size] of /** @type {const} */ ([['second', 60], ['minute', 60], ['hour', 24], ['day', 30], ['month', 12], ['year', Infinity]])) {
      if (Math.abs(value) < size) return format.format(Math.round(value), unit);
      value /= size;
    }
  }
}

customElements.define('onetap-bar', OnetapBar);
