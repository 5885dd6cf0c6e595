/** The demo: four phones in one thread, what is done to them, and the score. */
import { Onetap } from '../onetap.js';
import { OnetapBar } from '../onetap-bar.js';
import { NaiveClient, Wishes, phoneFetch } from './phones.js';

/** @typedef {{user?: string, posts: {post_id: string, reactions: {reaction: string, count: number, mine: boolean}[]}[]}[]} Answer */

const NAMES = { 1: 'Anna', 2: 'Ben', 3: 'Carla' };
const REACTIONS = ['like', 'love', 'laugh', '🎉'];
const STORM_TAPS = 50;
/** A double tap of a thumb: between its two taps, and between one double tap and the next. */
const BOUNCE_MS = [60, 220];
const NEXT_MS = 110;
const LOOK_MS = 500;

const network = { slow: true };
OnetapBar.resolveUsers = (ids) => ids.filter((id) => id in NAMES).map((id) => ({ id, name: NAMES[/** @type {'1'} */ (id)] }));

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A thread's posts: the id of the thread is in the address, so that another window can show it. */
function postsOf(/** @type {string} */ thread) {
  return [1, 2, 3].map((number) => thread.slice(0, -1) + number);
}

function newThread() {
  const hex = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12})$/, '$1-$2-4$3-8$4-$5');
}

/** One half: two phones, and how the service sees their thread. */
class Side {
  wishes = new Wishes();
  sent = 0;
  /** @type {(Onetap | NaiveClient)[]} */
  #clients = [];
  /** @type {string[]} */
  #posts = [];
  #looking = false;
  #tapped = 0;
  /** What the service said last. @type {Answer} */
  #counted = [];

  /** @param {string} name @param {string} address where the service says what it has counted */
  constructor(name, address) {
    this.name = name;
    this.address = address;
    this.score = /** @type {HTMLElement} */ (document.querySelector(`[data-score=${name}]`));
    this.phones = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(`[data-side=${name}] .phone`)]);
  }

  /** @param {string[]} posts @param {boolean} fresh whether nobody can have tapped there yet */
  show(posts, fresh) {
    for (const client of this.#clients) client.close();
    [this.#posts, this.wishes, this.sent] = [posts, new Wishes(), 0];
    this.#clients = this.phones.map((phone) => this.#client(phone, fresh));
    this.#counted = [];
    this.#write(undefined);
  }

  /** @param {HTMLElement} phone @param {boolean} fresh */
  #client(phone, fresh) {
    const userId = /** @type {string} */ (phone.dataset.user);
    const { wishes } = this;
    const options = {
      userId,
      recent: 5,
      fetch: phoneFetch(network, () => {
        if (wishes === this.wishes) this.sent += 1;
        this.#look();
      }),
    };
    const client = this.name === 'onetap' ? new Onetap(options) : new NaiveClient(options);
    const tap = client.tap.bind(client);
    client.tap = async (/** @type {string} */ post, /** @type {string} */ reaction) => {
      const seen = client.state(post)?.reactions.find((r) => r.reaction === reaction)?.mine ?? false;
      this.wishes.tapped(userId, post, reaction, seen);
      this.#tapped += 1;
      this.#look();
      await tap(post, reaction);
    };
    this.bars(phone).forEach((bar, i) => {
      const id = this.#posts[i];
      if (fresh) bar.setAttribute('summary', JSON.stringify({ post_id: id, reactions: [] }));
      else bar.removeAttribute('summary');
      bar.setAttribute('post-id', id);
      bar.client = /** @type {Onetap} */ (client);
    });
    return client;
  }

  /** @param {HTMLElement} phone */
  bars(phone) {
    return /** @type {OnetapBar[]} */ ([...phone.querySelectorAll('onetap-bar')]);
  }

  /** Looks at what the service has counted, as long as something is on its way; not over the phones' network. */
  async #look() {
    if (this.#looking) return;
    this.#looking = true;
    this.#write(false);
    for (let done = false; !done; ) {
      const tapped = this.#tapped;
      const settling = Promise.all(this.#clients.map((client) => client.settled())).then(() => true);
      const settled = await Promise.race([settling, pause(LOOK_MS).then(() => false)]);
      // Twins may still be under way.
      if (settled) await pause(network.slow ? 900 : 50);
      const { wishes } = this;
      const counted = await this.#ask().catch(() => undefined);
      done = settled && tapped === this.#tapped;
      if (!counted || wishes !== this.wishes) continue;
      this.#counted = counted;
      this.#write(done);
    }
    this.#looking = false;
  }

  /** What each user has, as the service says. @returns {Promise<Answer>} */
  async #ask() {
    const query = this.#posts.map((id) => `post_id=${id}`).join('&');
    const users = this.phones.map((phone) => phone.dataset.user);
    return Promise.all(users.map(async (user) => {
      const response = await fetch(`${this.address}?${query}&user_id=${user}`);
      const { posts } = await response.json();
      return { user, posts };
    }));
  }

  /** @param {boolean | undefined} done whether nothing is on its way any more; undefined before the first tap */
  #write(done) {
    const [counted, { meant }] = [this.#counted, this.wishes];
    const has = new Set(counted.flatMap(({ user, posts }) => posts.flatMap((post) =>
      post.reactions.filter((r) => r.mine).map((r) => `${user} ${post.post_id} ${r.reaction}`))));
    const wrong = [...meant].filter(([key, wanted]) => has.has(key) !== wanted).map(([key]) => key);
    const figures = {
      meant: [...meant.values()].filter(Boolean).length,
      sent: this.sent,
      counted: (counted[0]?.posts ?? []).flatMap((post) => post.reactions).reduce((sum, r) => sum + r.count, 0),
    };
    for (const [name, figure] of Object.entries(figures)) this.#figure(name).textContent = String(figure);
    const verdict = this.#figure('verdict');
    const text = done === undefined ? 'Nobody has tapped yet'
      : !done ? 'On its way …'
        : wrong.length ? `✘ ${wrong.length} of ${meant.size} are not as they were meant` : `✔ All ${meant.size} are as they were meant`;
    if (verdict.textContent !== text) verdict.textContent = text;
    verdict.classList.toggle('right', done === true && !wrong.length);
    verdict.classList.toggle('wrong', done === true && wrong.length > 0);
    for (const phone of this.phones) {
      for (const bar of this.bars(phone)) {
        const own = `${phone.dataset.user} ${bar.getAttribute('post-id')} `;
        bar.classList.toggle('wrong', done === true && wrong.some((key) => key.startsWith(own)));
      }
    }
  }

  /** @param {string} name */
  #figure(name) {
    return /** @type {HTMLElement} */ (this.score.querySelector(`[data-figure=${name}]`));
  }
}

const sides = [new Side('onetap', 'v1/posts/reactions'), new Side('naive', 'demo/naive/posts')];

/** Double taps of both thumbs, the same on both sides. @param {number} count */
async function doubleTaps(count) {
  const targets = [0, 1].flatMap((user) => [0, 1, 2].flatMap((post) => REACTIONS.map((reaction) => ({ user, post, reaction }))));
  for (let i = 0; i < count; i += 1) {
    // Each once before any again, so that two double taps on one button are two gestures.
    if (i % targets.length === 0) targets.sort(() => Math.random() - 0.5);
    if (i && i % targets.length === 0) await pause(500);
    const { user, post, reaction } = targets[i % targets.length];
    const tap = () => sides.forEach((side) => side.bars(side.phones[user])[post].tap(reaction));
    tap();
    setTimeout(tap, BOUNCE_MS[0] + Math.random() * (BOUNCE_MS[1] - BOUNCE_MS[0]));
    await pause(NEXT_MS);
  }
}

/** @param {string} [linked] */
function show(linked) {
  const thread = linked ?? newThread();
  history.replaceState(null, '', `#${thread}`);
  /** @type {HTMLAnchorElement} */ (document.querySelector('[data-do=second]')).href = location.href;
  for (const side of sides) side.show(postsOf(thread), !linked);
}

/** @param {string} name @param {(element: HTMLInputElement) => unknown} action @param {string} [type] */
function on(name, action, type = 'click') {
  const element = /** @type {HTMLInputElement} */ (document.querySelector(`[data-do=${name}]`));
  element.addEventListener(type, () => action(element));
}

on('storm', () => doubleTaps(STORM_TAPS / 2));
on('double', () => doubleTaps(24));
on('fresh', () => show());
on('slow', ({ checked }) => { network.slow = checked; }, 'change');
network.slow = /** @type {HTMLInputElement} */ (document.querySelector('[data-do=slow]')).checked;

const linked = /^#([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(location.hash)?.[1];
show(linked);
