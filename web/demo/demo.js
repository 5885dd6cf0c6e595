/** The demo: four phones in one thread, what is done to them, and the score. */
import { Onetap } from '../onetap.js';
import { OnetapBar } from '../onetap-bar.js';
import { GESTURE_MS, NaiveClient, Wishes, phoneFetch } from './phones.js';

/** @typedef {{user?: string, posts: {post_id: string, reactions: {reaction: string, count: number, mine: boolean}[]}[]}[]} Answer */

const NAMES = { 1: 'Anna', 2: 'Ben', 3: 'Carla' };
const REACTIONS = ['like', 'love', 'laugh', '🎉'];
/** A double tap of a thumb: between its two taps, and between one double tap and the next. */
const BOUNCE_MS = [60, 220];
/** On a busy machine a tap may come too late for its double tap: then it is left out. */
const LATEST_MS = 300;
const NEXT_MS = 110;
/** Until what left a phone has arrived, however late it is. */
const ARRIVED_MS = 900;
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
  wishes = new Wishes('', false);
  /** @type {(Onetap | NaiveClient)[]} */
  #clients = [];
  /** @type {string[]} */
  #posts = [];
  #looking = false;
  #tapped = 0;
  /** Whether anybody can have tapped in this thread. */
  isUsed = false;
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
    [this.#posts, this.wishes] = [posts, new Wishes(`${this.name} ${posts[0]}`, this.name === 'naive')];
    this.isUsed = !fresh;
    this.#clients = this.phones.map((phone) => this.#client(phone, fresh));
    this.#counted = [];
    this.#write(undefined);
    if (!fresh) this.#look();
  }

  /** Another window has tapped in this thread, or sent something. @param {string | null} record */
  heard(record) {
    if (record !== this.wishes.record) return;
    this.wishes.load();
    this.isUsed = true;
    this.#tapped += 1;
    this.#look();
  }

  /** @param {HTMLElement} phone @param {boolean} fresh */
  #client(phone, fresh) {
    const userId = /** @type {string} */ (phone.dataset.user);
    const { wishes } = this;
    const options = {
      userId,
      recent: 5,
      fetch: phoneFetch(network, () => {
        wishes.left();
        this.#look();
      }),
    };
    const client = this.name === 'onetap' ? new Onetap(options) : new NaiveClient(options);
    const tap = client.tap.bind(client);
    client.tap = async (/** @type {string} */ post, /** @type {string} */ reaction) => {
      const seen = client.state(post)?.reactions.find((r) => r.reaction === reaction)?.mine ?? false;
      this.wishes.tap(userId, post, reaction, seen);
      this.isUsed = true;
      this.#tapped += 1;
      const tapping = tap(post, reaction);
      // From here on the client knows that it waits for an answer.
      this.#look();
      await tapping;
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
    if (this.#tapped) this.#write(false);
    if (this.#looking) return;
    this.#looking = true;
    for (let done = false; !done; ) {
      const tapped = this.#tapped;
      const settling = Promise.all(this.#clients.map((client) => client.settled())).then(() => true);
      const settled = await Promise.race([settling, pause(LOOK_MS).then(() => false)]);
      // Twins may still be under way.
      if (settled && tapped) await pause(network.slow ? ARRIVED_MS : 50);
      const { wishes } = this;
      const counted = await this.#ask().catch(() => undefined);
      done = settled && tapped === this.#tapped;
      if (!counted || wishes !== this.wishes) continue;
      this.#counted = counted;
      if (wishes.isNew && !tapped) wishes.adopt(this.#has());
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

  /** What Anna and Ben have, as the service said last. */
  #has() {
    return new Set(this.#counted.flatMap(({ user, posts }) => posts.flatMap((post) =>
      post.reactions.filter((r) => r.mine).map((r) => `${user} ${post.post_id} ${r.reaction}`))));
  }

  /** @param {boolean | undefined} done whether nothing is on its way any more; undefined before the first tap */
  #write(done) {
    const [counted, { meant, twice, sent, tapped }] = [this.#counted, this.wishes];
    const has = this.#has();
    const wrong = [...meant].filter(([key, wanted]) => has.has(key) !== wanted).map(([key]) => key);
    const on = [...twice].filter((key) => has.has(key)).length;
    const figures = {
      // Of what was tapped twice, nothing is known.
      meant: tapped && !meant.size ? '–' : [...meant.values()].filter(Boolean).length,
      sent,
      counted: (counted[0]?.posts ?? []).flatMap((post) => post.reactions).reduce((sum, r) => sum + r.count, 0),
    };
    for (const [name, figure] of Object.entries(figures)) this.#figure(name).textContent = String(figure);
    const judged = wrong.length ? `✘ ${wrong.length} of ${meant.size} wrong` : `✔ ${meant.size} of ${meant.size} right`;
    const flipped = `${on} on, ${twice.size - on} off`;
    const ended = !meant.size ? `Tapped twice: ${flipped}` : twice.size ? `${judged}; twice: ${flipped}` : judged;
    const verdict = this.#figure('verdict');
    const text = done === undefined || !tapped ? 'No taps yet'
      : done ? ended : 'On its way …';
    if (verdict.textContent !== text) verdict.textContent = text;
    verdict.classList.toggle('right', done === true && meant.size > 0 && !wrong.length);
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

/** Taps every button of a new thread, by both thumbs, the same on both sides. @param {boolean} twice */
async function storm(twice) {
  if (sides.some((side) => side.isUsed)) {
    show();
    // The bars turn to the new thread once this task is over.
    await pause(NEXT_MS);
  }
  const targets = [0, 1].flatMap((user) => [0, 1, 2].flatMap((post) => REACTIONS.map((reaction) => ({ user, post, reaction }))));
  for (const { user, post, reaction } of targets.sort(() => Math.random() - 0.5)) {
    const tap = () => sides.forEach((side) => side.bars(side.phones[user])[post].tap(reaction));
    const began = performance.now();
    tap();
    if (twice) setTimeout(() => {
      if (performance.now() - began < LATEST_MS) tap();
    }, BOUNCE_MS[0] + Math.random() * (BOUNCE_MS[1] - BOUNCE_MS[0]));
    await pause(NEXT_MS);
  }
  // The last double tap is over.
  if (twice) await pause(GESTURE_MS);
}

/** @param {string} [linked] */
function show(linked) {
  const thread = linked ?? newThread();
  history.replaceState(null, '', `#${thread}`);
  /** @type {HTMLAnchorElement} */ (document.querySelector('[data-do=second]')).href = location.href;
  for (const side of sides) side.show(postsOf(thread), !linked);
}

const button = (/** @type {string} */ name) => /** @type {HTMLElement} */ (document.querySelector(`[data-do=${name}]`));
const slow = /** @type {HTMLInputElement} */ (button('slow'));
const buttons = ['once', 'twice', 'fresh'].map(button);
let busy = false;

/** One at a time. The buttons keep the focus meanwhile. @param {() => unknown} action */
async function alone(action) {
  if (busy) return;
  const off = (/** @type {boolean} */ is) => {
    busy = is;
    for (const each of buttons) each.setAttribute('aria-disabled', String(is));
  };
  off(true);
  await action();
  off(false);
}

button('once').addEventListener('click', () => alone(() => storm(false)));
button('twice').addEventListener('click', () => alone(() => storm(true)));
button('fresh').addEventListener('click', () => alone(() => show()));
slow.addEventListener('change', () => { network.slow = slow.checked; });
network.slow = slow.checked;
addEventListener('storage', ({ key }) => sides.forEach((side) => side.heard(key)));

const linked = /^#([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(location.hash)?.[1];
show(linked);
