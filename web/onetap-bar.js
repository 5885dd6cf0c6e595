/**
 * <onetap-bar post-id="…">: the reactions of one post. Everything that is sent and kept is the
 * client's business (onetap.js); this file shows it.
 *
 * The children of the element are what is seen before this file has loaded, and without it.
 */
import { Onetap, postIdFromInteger, reactionKey } from './onetap.js';

const CSS = `
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
  background: var(--_back); border-color: var(--_line); white-space: nowrap; -webkit-user-select: none; user-select: none; -webkit-touch-callout: none }
.reaction:is(:hover, :focus-visible):not([disabled]), .add:hover { border-color: var(--_accent) }
.reaction[aria-pressed=true] { color: var(--_accent); border-color: currentColor;
  background: color-mix(in srgb, var(--_accent) 14%, var(--_panel)) }
.picture { font-size: 1.2em; line-height: 1; font-family: "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji", system-ui, sans-serif }
.word { font: inherit }
img { display: block; inline-size: 1em; block-size: 1em; object-fit: contain }
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
.picker { visibility: hidden }
.spoken { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%) }
@media (prefers-reduced-motion: no-preference) {
  .pop .picture { animation: pop .3s } dialog[open], [popover]:popover-open { animation: rise .15s } }
@keyframes pop { 40% { transform: scale(1.35) rotate(-8deg) } }
@keyframes wait { to { opacity: .5 } }
@keyframes rise { from { opacity: 0; transform: translateY(.5rem) } }
@media (forced-colors: active) { [aria-pressed=true] { border: 2px solid Highlight } }
`;

/** Style sheets, by their text: an adopted sheet needs no leave of the page's policy. */
const sheets = new Map();
function adopt(root, css) {
  if (!sheets.has(css)) {
    sheets.set(css, new CSSStyleSheet());
    sheets.get(css).replaceSync(css);
  }
  const sheet = sheets.get(css);
  if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
}

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

/** Made without HTML: a page's policy may forbid it (Trusted Types). */
function face() {
  const [svg, path] = ['svg', 'path'].map((tag) => document.createElementNS('http://www.w3.org/2000/svg', tag));
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', 'M20 11a9 9 0 1 1-8-8M8 14.5s1.2 2 3.5 2 3.5-2 3.5-2M8.5 9.5h.01M14 9.5h.01M19 2v6M16 5h6');
  svg.append(path);
  return svg;
}

/** What is loaded when it is first needed, from beside this file. */
const PARTS = {
  card: () => import('./onetap-card.js'),
  dialog: () => import('./onetap-dialog.js'),
  images: () => import('./onetap-images.js'),
  picker: () => import('./onetap-picker.js'),
};
const loaded = {};
const failed = new Set();
/** How long somebody waits for such a file. */
const LOAD_MS = 10_000;

function load(name) {
  if (!loaded[name]) {
    // A browser may keep in mind that an address failed, or wait for it for ever.
    const part = failed.has(name) ? import(new URL(`onetap-${name}.js?${Date.now()}`, import.meta.url).href) : PARTS[name]();
    const late = new Promise((_, reject) => setTimeout(reject, LOAD_MS, new Error(`nothing within ${LOAD_MS} ms`)));
    loaded[name] = Promise.race([part, late]);
    loaded[name].catch(() => failed.add(name) && delete loaded[name]);
  }
  return loaded[name];
}

/** Strangers' text without what would turn, or end, the line around it. */
const tame = (text) => String(text ?? '').replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, '');
/** Between marks, for titles and sentences of the page: what it is next to does not reorder it. */
const isolate = (text) => `\u2068${tame(text)}\u2069`;
/** A sentence as nodes: what is between marks is in <bdi>. */
const nodes = (text) => text.split(/(\u2068[^\u2069]*\u2069)/).map((part) =>
  (part[0] === '\u2068' ? h('bdi', {}, part.slice(1, -1)) : part));

/** What the page says of a reaction, however it spells that. */
const own = (record, reaction) => (Object.hasOwn(record, reaction) ? record[reaction]
  : Object.entries(record).find(([name]) => reactionKey(name) === reactionKey(reaction))?.[1]);

const fits = ({ reaction, count }) => typeof reaction === 'string' && reaction !== '' && Number.isInteger(count) && count >= 0;

/** What is known of users by id; the promise of it while they are asked for. */
const users = new Map();
/** The part that shows the page's images. */
let images;
/** Ids for the next call, and that call. */
let asked = [];
let asking;
/** Clients made from attributes, by these. */
const clients = new Map();
/** Elements that are in a document. */
const connected = new Set();
let shared;
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
    for (const id of ids) {
      const { name, url } = found.find((user) => String(user.id) === id) ?? {};
      users.set(id, { name: tame(name).trim(), url });
    }
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

/** Where there is no document, as on a server that renders, nothing is shown. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? class {};

class OnetapBar extends Base {
  static observedAttributes = ['post-id', 'summary', 'reactions', 'quick', 'base-url', 'user-id', 'recent', 'readonly'];

  /** @type {((ids: string[]) => any) | undefined} */
  static resolveUsers;

  /** @type {((reaction: string) => any) | undefined} */
  static resolveReaction;

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
    /** @type {(names: string[], others: number, number?: (n: number) => string) => string} */
    who(names, others, number = String) {
      if (!names.length) return others === 1 ? '1 person' : others > 0 ? `${number(others)} people` : others ? 'Several people' : '';
      if (others !== 0) names = [...names, others === 1 ? '1 other' : others > 0 ? `${number(others)} others` : 'others'];
      return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0];
    },
    all: 'All',
    more: 'Show more',
    close: 'Close',
    loading: 'Loading …',
    nobody: 'Nobody yet',
    unavailable: 'The list could not be loaded',
    retry: 'Try again',
    search: 'Search',
    nothing: 'Nothing found',
    missing: 'This could not be loaded; try again',
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
  /** The page's list, until it may have changed. */
  #listed;
  #root;
  #bar;
  #add;
  #who;
  #line;
  #picker;
  #warm = false;
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
    adopt(this.#root, CSS);
    this.#root.append(h('slot'));
    for (const type of ['pointerenter', 'focusin', 'pointerdown']) this.addEventListener(type, this.#warmUp);
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
      recent: Math.min(20, Math.max(0, Number(this.getAttribute('recent') ?? 3) || 0)),
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
    this.#root.querySelector('dialog')?.close();
    for (const part of this.#root.querySelectorAll('[popover]')) part.hidePopover();
    this.#stop = undefined;
    for (const button of this.#buttons.values()) button.remove();
    this.#buttons.clear();
    this.#line = undefined;
    for (const reaction of this.#waits.keys()) this.#waited(reaction);
    this.#problem.hidden = true;
    this.#who?.replaceChildren();
  }

  /** What the page says of the post: in the attribute, or in its children. */
  #initial() {
    try {
      const summary = JSON.parse(this.getAttribute('summary') ?? 'null');
      if (summary?.post_id === this.#post) {
        if (summary.reactions.every(fits)) return summary;
        warn('the summary is not one');
      }
    } catch (error) {
      warn(`the summary is not JSON: ${error}`);
    }
    const buttons = this.#childrenUsed ? [] : [...this.querySelectorAll(/** @type {'button'} */ ('button[name=reaction]'))];
    if (!buttons.length) return undefined;
    const reactions = buttons.map((button) => ({
      reaction: button.value,
      count: Number(button.querySelector('data')?.value) || 0,
      mine: button.getAttribute('aria-pressed') === 'true',
    }));
    return { reactions: reactions.filter(fits) };
  }

  handleEvent({ type, detail }) {
    // What befalls all posts is the client's to tell; what it knows so far is shown.
    if (detail.postId === this.#post) this.#emit(type, detail);
    else if (detail.postId) return;
    // An answer that is not the service's may come from a slip in the page or the proxy.
    if (detail.dropped || detail.status < 500) warn(`${detail.code}: ${detail.message}`);
    if (detail.reaction && detail.dropped) this.#fail(detail);
    this.update(type === 'onetap-error');
  }

  #fail(detail) {
    this.#waited(reactionKey(detail.reaction));
    this.#complain(OnetapBar.texts.failed(isolate(this.#label(detail.reaction)), detail));
  }

  #waited(reaction) {
    clearTimeout(this.#waits.get(reaction));
    return this.#waits.delete(reaction);
  }

  /** A screen reader hears of a wish when it is saved, or when that takes long. */
  #follow(reaction, label, { pending, mine, count }) {
    const { texts } = OnetapBar;
    if (!pending && this.#waited(reaction)) this.#say(texts[mine ? 'added' : 'removed'](label, count));
    if (!pending || this.#waits.has(reaction)) return;
    this.#waits.set(reaction, setTimeout(() => this.#say(texts.waiting(label)), WAIT_MS));
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  #say(text) { this.#spoken.replaceChildren(...nodes(text)); }

  /** For eyes and ears, until it is dismissed or the next tap. */
  #complain(text) {
    this.#say(text);
    this.#problem.replaceChildren(h('span', {}, ...nodes(text)), h('button', { className: 'dismiss', type: 'button', textContent: '×',
      'aria-label': OnetapBar.texts.close, onclick: () => {
        this.#bar.querySelector('button:enabled')?.focus();
        this.#problem.hidden = true;
      } }));
    this.#problem.hidden = false;
  }

  /** Lets a part that has a file of its own do something; says so if it cannot be had. */
  async #let(name, work) {
    const post = this.#post;
    try {
      const part = await load(name);
      this.#problem.hidden = true;
      if (this.#post === post && this.#stop) work(part);
    } catch (error) {
      warn(`${name}: ${error}`);
      this.#picker?.hidePopover();
      this.#complain(OnetapBar.texts.missing);
    }
  }

  /** What may be pressed next is loaded, once, so that the first press is quick. */
  #warmUp = (event) => {
    if (this.#warm || !this.#bar) return;
    this.#warm = true;
    let held = event;
    for (const type of ['pointerup', 'pointercancel']) addEventListener(type, () => (held = undefined), { once: true, capture: true });
    load('card').then(({ attach }) => attach(() => this.#inside(), this.#bar, held)).catch((error) => {
      this.#warm = false;
      warn(`card: ${error}`);
    });
    for (const name of ['dialog', 'picker']) load(name).catch(() => {});
  };

  /** What the parts are given. */
  #inside() {
    const { texts } = OnetapBar;
    return {
      h, adopt, learn, nodes, texts,
      root: this.#root, bar: this.#bar, client: this.#client, post: this.#post, language: this.#language,
      me: this.getAttribute('user-id'),
      listed: [...this.#list().keys()],
      reactions: this.#state().filter(({ count }) => count),
      of: (reaction) => this.#of(reaction),
      label: (reaction) => this.#label(reaction),
      number: (n) => this.#number(n),
      person: (id) => {
        const { name, url } = users.get(id) ?? {};
        return { name: name || texts.user(id), url: /^(https?:|[/.?#])/.test(url) ? url : undefined };
      },
      named: Boolean(OnetapBar.resolveUsers),
      people: (reactions) => this.#people(reactions),
      sentence: (ids, people, most) => this.#sentence(ids, people, most),
      draw: (reaction) => this.#draw(h('span', { className: 'picture', 'aria-hidden': 'true' }), reaction),
      tap: (reaction) => this.tap(reaction),
      show: (reaction) => this.showReactors(reaction),
    };
  }

  /** The page's list by key, each with its picture: "like", "👍", "helpful=💡". */
  #list() {
    const words = () => (this.getAttribute('reactions') ?? 'like').split(/\s+/).filter((word) => /^[^=]/.test(word));
    return (this.#listed ??= new Map(words().map((word) => {
      const [reaction, picture] = word.split('=');
      return [reactionKey(reaction), picture || own(OnetapBar.pictures, reaction) || this.#shape(reaction)];
    })));
  }

  /** A name is shown as a word, an emoji as it is. */
  #shape(reaction) { return /^[\w+-]+$/.test(reaction) ? this.#label(reaction) : reaction; }

  #picture(key) { return this.#list().get(key) ?? own(OnetapBar.pictures, key) ?? this.#shape(this.#of(key).reaction); }

  /** Puts a reaction's text where it is shown, or the page's image. */
  #draw(place, reaction) {
    const key = reactionKey(reaction);
    const asText = () => {
      place.textContent = this.#picture(key);
      place.classList.toggle('word', /\w/.test(place.textContent));
    };
    const { resolveReaction: resolve } = OnetapBar;
    if (!resolve || !place.firstElementChild) asText();
    if (resolve) {
      images ??= load('images').catch((error) => {
        warn(`images: ${error}`);
        setTimeout(() => (images = undefined), LOAD_MS);
      });
      images.then((part) => part?.draw(place, key, { h, asText, resolve, warn, label: this.#label(reaction) }));
    }
    return place;
  }

  #label(reaction) {
    const words = reaction.replace(/[_-]+/g, ' ').trim() || reaction;
    return own(OnetapBar.labels, reaction) ?? words[0].toUpperCase() + words.slice(1);
  }

  /** As the page says, also from outside of the shadow roots around; undefined where it says nothing that is a language. */
  get #language() {
    let found = /** @type {any} */ (null);
    for (let node = /** @type {any} */ (this); node && !found; node = node.getRootNode().host) found = node.closest('[lang]');
    try {
      return Intl.getCanonicalLocales(found?.getAttribute('lang'))[0];
    } catch {
      return undefined;
    }
  }

  /** A count, wherever it is seen. */
  #number(n) { return new Intl.NumberFormat(this.#language, { notation: 'compact' }).format(n); }

  #state() { return this.#client?.state(this.#post)?.reactions ?? []; }

  /** Taps, as the reaction's button does. */
  tap(reaction, at) {
    if (!this.#stop) return;
    const before = this.#of(reaction);
    this.#client.tap(this.#post, reaction, at);
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
    const found = this.#state().find((r) => reactionKey(r.reaction) === reactionKey(reaction));
    return found ?? { reaction, count: 0, mine: false };
  }

  #build() {
    const { texts } = OnetapBar;
    this.#picker = h('div', { className: 'picker', popover: 'auto', role: 'group', 'aria-label': texts.add });
    this.#picker.addEventListener('toggle', ({ newState }) => {
      if (newState === 'open') this.#let('picker', (part) => part.open(this.#inside(), this.#picker, this.#add));
    });
    this.#add = h('button', { className: 'add', type: 'button', title: texts.add, 'aria-label': texts.add,
      popoverTargetElement: this.#picker }, face());
    this.#who = h('button', { className: 'who', type: 'button', onclick: () => this.showReactors() });
    this.#bar = h('div', { className: 'bar', role: 'group', 'aria-label': texts.reactions }, this.#add, this.#who);
    this.#root.append(this.#bar, this.#problem, this.#picker, this.#spoken);
  }

  /** Shows what the client knows; `anyway` before it knows anything. */
  update(anyway = false) {
    this.#listed = undefined;
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
    const quick = Math.max(0, Number(this.getAttribute('quick') ?? 1) || 0);
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
    if (this.#line !== who) this.#who.replaceChildren(...nodes((this.#line = who)));
  }

  #button(reaction) {
    let button = this.#buttons.get(reaction);
    if (!button) {
      button = h('button', { className: 'reaction', type: 'button', value: reaction, onclick: ({ timeStamp }) => this.tap(reaction, timeStamp) },
        h('span', { className: 'picture', 'aria-hidden': 'true' }), ' ',
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
    const number = count ? this.#number(count) : '';
    this.#draw(button.firstChild, reaction);
    button.setAttribute('aria-pressed', String(mine));
    button.part = `reaction reaction-${reaction}${mine ? ' pressed' : ''}${pending ? ' pending' : ''}`;
    button.classList.toggle('pending', !!pending);
    const label = this.#label(reaction);
    this.#follow(reaction, isolate(label), state);
    button.setAttribute('aria-label', OnetapBar.texts.button(label, count));
    // What is there may be taken away from a locked post.
    button.disabled = readonly || (locked && !mine);
    if (button.lastChild.textContent !== number) button.lastChild.textContent = number;
    button.setAttribute('aria-description', count ? this.#names([state]) : '');
  }

  /** The users that a list names, newest first. This user's own flag is newer than any list. */
  #known({ mine, recent = [] }) {
    const me = this.getAttribute('user-id');
    const times = new Map(recent.map((user) => [user.user_id, user.reacted_at]));
    times.delete(me);
    return mine && me ? times.set(me, '~') : times;
  }

  /** Who gave these reactions, newest first, as far as it is known; and how many they are, NaN where nobody knows. */
  #people(reactions) {
    const known = reactions.map((reaction) => this.#known(reaction));
    const times = new Map(known.flatMap((times) => [...times]));
    const ids = [...times.keys()].sort((a, b) => (times.get(a) < times.get(b) ? 1 : -1));
    // Who has two reactions is one person, and how many those are is only known if the lists are whole.
    const whole = known.every(({ size }, i) => size >= reactions[i].count);
    return { ids, people: reactions.length < 2 ? (reactions[0]?.count ?? 0) : whole ? ids.length : NaN };
  }

  /** "Anna, Ben and 12 others", with at most so many names. */
  #sentence(ids, people, most = 2) {
    const me = this.getAttribute('user-id');
    learn(ids.slice(0, most + 1));
    const names = ids.filter((id) => id === me || users.get(id)?.name).slice(0, most)
      .map((id) => (id === me ? OnetapBar.texts.you : isolate(users.get(id).name)));
    return OnetapBar.texts.who(names, people - names.length, (n) => this.#number(n));
  }

  #names(reactions) {
    const { ids, people } = this.#people(reactions);
    return this.#sentence(ids, people);
  }

  /** Opens the list of who reacted; of one reaction, if it is named. */
  showReactors(reaction) {
    if (this.#stop) this.#let('dialog', (part) => part.open(this.#inside(), reaction));
  }
}

const registry = globalThis.customElements;
if (registry && !registry.get('onetap-bar')) registry.define('onetap-bar', OnetapBar);
/** Loaded twice, by two addresses, it is one element to both. @type {typeof OnetapBar} */
const Defined = /** @type {any} */ (registry?.get('onetap-bar') ?? OnetapBar);
export { Defined as OnetapBar };
