// The element <onetap-bar post-id="…"> shows the reactions of one post. The client (onetap.js)
// sends and keeps everything.
//
// Until this file has loaded, and without it, the page shows the children of the element.

import { reactionKey } from '../onetap.js';
import css from './bar.css';
import { adopt, h, nodes } from './dom.js';
import { Faces } from './faces.js';
import { explain, forbid, frame, mark, reactionButton } from './frame.js';
import { load } from './load.js';
import { Offer } from './offer.js';
import { ATTRIBUTES, clientOf, postOf, summaryOf } from './page.js';
import { isolate, warn } from './text.js';
import { english } from './texts.js';
import { peopleOf, Users } from './users.js';
import { Voice } from './voice.js';

/** Elements that are in a document. */
const connected = new Set();
/** The client that the page has set for all bars without one of their own. */
let shared;

/** A server that renders pages has no HTMLElement. @type {typeof HTMLElement} */
const Base = globalThis.HTMLElement ?? class {};

export class OnetapBar extends Base {
  static observedAttributes = ATTRIBUTES;

  /** @type {((ids: string[]) => any) | undefined} */
  static resolveUsers;

  /** @type {((reaction: string) => any) | undefined} */
  static resolveReaction;

  static pictures = { like: '👍', love: '❤️', laugh: '😄', wow: '😮', sad: '😢', angry: '😠' };

  static labels = {};

  static texts = english((code) => OnetapBar.texts.problems[code]);

  static get client() {
    return shared;
  }

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
  /** By reaction. Once the post is known, no button vanishes under a finger but an alias's. */
  #buttons = new Map();
  #root;
  #bar;
  #parts;
  #line;
  #offer = new Offer(
    () => ({ client: this.#client, post: this.#post, texts: OnetapBar.texts }),
    () => this.update(),
  );
  #warm = false;
  /** False while the bar, after an error, shows buttons without knowing the post. */
  #sure = false;
  #faces = new Faces(
    this,
    () => OnetapBar,
    (key) => this.#of(key).reaction,
    this.#offer,
  );
  #voice = new Voice(
    () => OnetapBar.texts,
    () => this.#bar.querySelector('button:enabled')?.focus(),
  );

  /** The client that this bar uses. Setting it gives this bar a client of its own. */
  get client() {
    return this.#client;
  }

  set client(client) {
    this.#own = client;
    this.#schedule();
  }

  constructor() {
    super();
    this.#root = this.attachShadow({ mode: 'open', delegatesFocus: true });
    adopt(this.#root, css);
    this.#root.append(h('slot'));
    for (const type of ['pointerenter', 'focusin', 'pointerdown'])
      this.addEventListener(type, this.#warmUp);
  }

  connectedCallback() {
    connected.add(this);
    // If the page set `client` before this file had loaded, the value hides the setter.
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

  /** Attaches once, after all that a script does in one go, such as setting several attributes. */
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
    const client = post && (this.#own ?? shared ?? clientOf(this));
    if (client !== this.#client || post !== this.#post) {
      this.#detach();
      [this.#client, this.#post] = [client, post];
      if (post) this.#begin();
    } else if (this.#stop && this.#summaryTold) {
      const stop = this.#stop;
      this.#stop = client.watch(post, this.#summary());
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

  #summary() {
    return summaryOf(this, this.#post, this.#childrenUsed);
  }

  #begin() {
    if (!this.#childrenUsed && document.readyState === 'loading' && !this.hasAttribute('summary')) {
      // The parser may not have reached the children yet, so wait for them.
      const again = () => {
        this.#client = this.#post = undefined;
        this.#schedule();
      };
      document.addEventListener('DOMContentLoaded', again, { once: true });
      return;
    }
    this.#client.addEventListener('onetap-change', this);
    this.#client.addEventListener('onetap-error', this);
    this.#stop = this.#client.watch(this.#post, this.#summary());
    this.#childrenUsed = true;
  }

  /** Stops showing the post. Writes in flight go on in the client. */
  #detach() {
    this.#stop?.();
    this.#client?.removeEventListener('onetap-change', this);
    this.#client?.removeEventListener('onetap-error', this);
    this.#root.querySelector('dialog')?.close();
    for (const part of this.#root.querySelectorAll('[popover]')) part.hidePopover();
    this.#stop = undefined;
    this.#sure = false;
    for (const button of this.#buttons.values()) button.remove();
    this.#buttons.clear();
    this.#line = undefined;
    this.#voice.reset();
    this.#parts?.who.replaceChildren();
  }

  handleEvent({ type, detail }) {
    // An error without a post concerns all bars, and the page hears of it from the client. So the
    // bar does not repeat such an event, but shows what the client knows.
    if (detail.postId === this.#post) this.#emit(type, detail);
    else if (detail.postId) return;
    // The page or its proxy may be set up wrong, so tell the author.
    if (detail.dropped || detail.status < 500) warn(`${detail.code}: ${detail.message}`);
    if (detail.reaction && detail.dropped) this.#fail(detail);
    this.update(type === 'onetap-error');
  }

  #fail(detail) {
    this.#voice.waited(reactionKey(detail.reaction));
    this.#voice.complain(
      OnetapBar.texts.failed(isolate(this.#faces.label(detail.reaction)), detail),
    );
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }

  /** Loads a part of the element and passes it to `work`. If that fails, tells the user. */
  async #let(name, work) {
    const post = this.#post;
    try {
      const part = await load(name);
      this.#voice.calm();
      if (this.#post === post && this.#stop) work(part);
    } catch (error) {
      warn(`${name}: ${error}`);
      this.#parts?.picker.hidePopover();
      this.#voice.complain(OnetapBar.texts.missing);
    }
  }

  /** Loads the parts when a pointer or the focus comes near, so that the first press is quick. */
  #warmUp = (event) => {
    if (this.#warm || !this.#bar) return;
    this.#warm = true;
    this.#offer.ask();
    let held = event;
    for (const type of ['pointerup', 'pointercancel'])
      addEventListener(type, () => (held = undefined), { once: true, capture: true });
    load('card')
      .then(({ attach }) => attach(() => this.#inside(), this.#bar, held))
      .catch((error) => {
        this.#warm = false;
        warn(`card: ${error}`);
      });
    for (const name of ['dialog', 'picker']) load(name).catch(() => {});
  };

  /** What the bar gives to the parts. */
  #inside() {
    const { texts } = OnetapBar;
    return {
      h,
      adopt,
      learn: (ids) => users.learn(ids),
      nodes,
      texts,
      root: this.#root,
      bar: this.#bar,
      client: this.#client,
      post: this.#post,
      language: this.#faces.language,
      me: this.getAttribute('user-id'),
      listed: [...this.#faces.list().keys()],
      reactions: this.#state().filter(({ count }) => count),
      of: (reaction) => this.#of(reaction),
      refusal: (reaction) => this.#offer.refusal(this.#of(reaction)),
      label: (reaction) => this.#faces.label(reaction),
      number: (n) => this.#faces.number(n),
      person: (id) => users.person(id, texts.user),
      named: Boolean(OnetapBar.resolveUsers),
      people: (reactions) => peopleOf(reactions, this.getAttribute('user-id')),
      sentence: (ids, people, most) => this.#sentence(ids, people, most),
      draw: (reaction) =>
        this.#faces.draw(h('span', { className: 'picture', 'aria-hidden': 'true' }), reaction),
      tap: (reaction) => this.tap(reaction),
      show: (reaction) => this.showReactors(reaction),
    };
  }

  #state() {
    return this.#client?.state(this.#post)?.reactions ?? [];
  }

  /** Does what a press of the reaction's button does. */
  tap(reaction, at) {
    if (!this.#stop) return;
    const before = this.#of(reaction);
    this.#client.tap(this.#post, reaction, at);
    const { mine } = this.#of(reaction);
    // The client drops a second tap on the same reaction within 400 ms.
    if (mine === before.mine) return;
    this.#voice.calm();
    this.update();
    const button = this.#buttons.get(reactionKey(this.#of(reaction).reaction));
    button?.classList.remove('pop');
    // Reading the width restarts the animation.
    if (mine && button?.offsetWidth) button.classList.add('pop');
  }

  #of(name) {
    const find = (name) => this.#state().find((r) => reactionKey(r.reaction) === reactionKey(name));
    const reaction = this.#offer.counted(name);
    // Users may have a reaction under a name that is an alias now.
    return find(name) ?? find(reaction) ?? { reaction, count: 0, mine: false };
  }

  #build() {
    this.#parts = frame(OnetapBar.texts, {
      opened: () => this.#let('picker', (part) => part.open(this.#inside(), picker, add)),
      who: () => this.showReactors(),
    });
    const { add, bar, picker } = this.#parts;
    this.#bar = bar;
    this.#root.append(bar, this.#voice.problem, picker, this.#voice.spoken);
  }

  /** Shows what the client knows; with `anyway` even if it knows nothing yet. */
  update(anyway = false) {
    this.#faces.forget();
    if (this.#bar) this.#bar.hidden = !this.#stop;
    if (!this.#stop) return;
    const state = this.#client.state(this.#post);
    if (!this.hasAttribute('reactions')) this.#offer.ask();
    const known = anyway || (state && (this.#offer.isLate || this.#faces.text() !== undefined));
    const slot = this.#root.querySelector('slot');
    // Until enough is known, show the children. Without children, keep the space, but show nothing.
    if (!known && slot && this.children.length) return;
    if (!this.#bar) this.#build();
    if (known) slot?.remove();
    this.#bar.classList.toggle('unknown', !known);
    const readonly = this.hasAttribute('readonly');
    const quick = Math.max(0, Number(this.getAttribute('quick') ?? 1) || 0);
    const listed = [...this.#faces.list().keys()];
    const present = state?.reactions.map(({ reaction }) => reactionKey(reaction)) ?? [];
    const shown = new Set([...listed.slice(0, quick), ...present]);
    // Remove the button of a name that turned out to be an alias, and what was only a guess.
    for (const [key, button] of this.#buttons)
      if (reactionKey(this.#of(key).reaction) === key && this.#sure) shown.add(key);
      else if (!shown.has(key) && this.#buttons.delete(key)) button.remove();
    this.#sure = Boolean(state);
    // Keep the page's order. If sorted by count, buttons would change places under a finger.
    const order = [
      ...listed.filter((r) => shown.has(r)),
      ...[...shown].filter((r) => !listed.includes(r)),
    ];
    let place = this.#bar.firstChild;
    for (const reaction of order) {
      const button = this.#button(reaction);
      if (button === place) place = place.nextSibling;
      else this.#bar.insertBefore(button, place);
      this.#fillButton(reaction, readonly);
    }
    const { add, who } = this.#parts;
    add.hidden = readonly || listed.length <= quick;
    explain(this.#parts, this.#offer.note(state), readonly);
    const names = this.#names(state?.reactions.filter(({ count }) => count) ?? []);
    if (this.#line !== names) who.replaceChildren(...nodes((this.#line = names)));
  }

  #button(reaction) {
    const tap = (...args) => this.tap(...args);
    const button = this.#buttons.get(reaction) ?? reactionButton(reaction, tap);
    this.#buttons.set(reaction, button);
    return button;
  }

  #fillButton(reaction, readonly) {
    const state = this.#of(reaction);
    const { count, mine, pending } = state;
    const button = this.#buttons.get(reaction);
    const number = count ? this.#faces.number(count) : '';
    this.#faces.draw(button.firstChild, reaction);
    mark(button, reaction, mine, pending);
    const label = this.#faces.label(reaction);
    this.#voice.follow(reaction, isolate(label), state);
    button.setAttribute('aria-label', OnetapBar.texts.button(label, count));
    forbid(button, this.#offer.refusal(state), readonly);
    if (button.lastChild.textContent !== number) button.lastChild.textContent = number;
    button.setAttribute('aria-description', count ? this.#names([state]) : '');
  }

  /** "Anna, Ben and 12 others", with at most `most` names. @param {number} [most] */
  #sentence(ids, people, most) {
    const names = users.names(ids, this.getAttribute('user-id'), OnetapBar.texts.you, most);
    return OnetapBar.texts.who(names, people - names.length, (n) => this.#faces.number(n));
  }

  #names(reactions) {
    const { ids, people } = peopleOf(reactions, this.getAttribute('user-id'));
    return this.#sentence(ids, people);
  }

  /** Opens the list of who reacted, with one reaction or with all. */
  showReactors(reaction) {
    if (this.#stop) this.#let('dialog', (part) => part.open(this.#inside(), reaction));
  }
}

/** Names of users, for all bars. */
const users = new Users(
  () => OnetapBar.resolveUsers,
  () => {
    for (const bar of connected) bar.update();
  },
);
