// The list of who reacted, of <onetap-bar>. The element loads this file when somebody first opens
// the list, and passes in an `Inside` (internal.d.ts).

import css from './dialog.css';

/** @import {Inside} from '../internal.d.ts' */

/** How long the list waits for names. */
const NAMES_MS = 3_000;

/**
 * Shows who reacted; with one reaction, if it is named.
 * @param {Inside} inside @param {string} [reaction]
 */
export function open(inside, reaction) {
  inside.adopt(inside.root, css);
  const dialog = inside.root.querySelector('dialog') ?? build(inside);
  if (!dialog.open) dialog.showModal();
  // The service's spelling of the reaction.
  fillTabs(inside, dialog, reaction && inside.of(reaction).reaction);
  new List(inside, /** @type {HTMLElement} */ (dialog.querySelector('ul')), reaction).page();
}

/** @param {Inside} inside */
function build({ h, root, texts }) {
  const close = h('button', {
    className: 'close',
    type: 'button',
    'aria-label': texts.close,
    textContent: '✕',
    onclick: () => dialog.close(),
  });
  const dialog = h(
    'dialog',
    { className: 'dialog', 'aria-label': texts.reactions },
    h('header', {}, h('h2', { className: 'heading' }, texts.reactions), close),
    h('div', { className: 'tabs' }),
    h('ul', { className: 'list', tabIndex: 0, 'aria-label': texts.reactions }),
  );
  // A click on the backdrop closes it.
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  root.append(dialog);
  return dialog;
}

/** @param {Inside} inside @param {HTMLDialogElement} dialog @param {string} [chosen] */
function fillTabs({ h, draw, label, number, reactions, show, texts }, dialog, chosen) {
  const tab = (reaction, name, ...inner) =>
    h(
      'button',
      {
        className: 'tab',
        type: 'button',
        'aria-label': name,
        'aria-pressed': String(reaction === chosen),
        onclick: () => show(reaction),
      },
      ...inner,
    );
  const tabs = /** @type {HTMLElement} */ (dialog.querySelector('.tabs'));
  const { scrollLeft } = tabs;
  tabs.replaceChildren(
    tab(undefined, undefined, texts.all),
    ...reactions.map(({ reaction, count }) =>
      tab(reaction, texts.button(label(reaction), count), draw(reaction), ` ${number(count)}`),
    ),
  );
  tabs.scrollLeft = scrollLeft;
  /** @type {HTMLElement | null} */ (tabs.querySelector('[aria-pressed=true]'))?.focus();
}

/** The pages loaded so far. A person has one row, even if several pages name them. */
class List {
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();

  /** @param {Inside} inside @param {HTMLElement} list @param {string} [reaction] */
  constructor(inside, list, reaction) {
    this.inside = inside;
    this.list = list;
    this.reaction = reaction;
  }

  #note(text) {
    return this.inside.h(
      'li',
      { className: 'note' },
      this.inside.h('span', { role: 'status' }, text),
    );
  }

  #button(text, cursor) {
    const { h } = this.inside;
    const item = h(
      'li',
      {},
      h('button', {
        className: 'more',
        type: 'button',
        textContent: text,
        onclick: () => this.page(cursor, item),
      }),
    );
    return item;
  }

  /** Loads the next page, which replaces the button that asked for it. */
  async page(cursor, asker) {
    const { client, learn, post, texts } = this.inside;
    const line = this.#note(texts.loading);
    if (asker) asker.replaceWith(line);
    else this.list.replaceChildren(line);
    try {
      const page = await client.reactors(post, { reaction: this.reaction, cursor });
      const names = learn(page.users.map((user) => user.user_id));
      await Promise.race([names, new Promise((resolve) => setTimeout(resolve, NAMES_MS))]);
      // Another list has been opened meanwhile.
      if (!line.isConnected) return;
      const items = page.users.map((user) => this.#row(user)).filter(Boolean);
      if (!items.length && !cursor) items.push(this.#note(texts.nobody));
      if (page.next_cursor) items.push(this.#button(texts.more, page.next_cursor));
      line.replaceWith(...items);
      if (asker) (items[0]?.querySelector('a') ?? this.list).focus();
    } catch {
      if (line.isConnected)
        line.replaceWith(this.#note(texts.unavailable), this.#button(texts.retry, cursor));
    }
  }

  /** Makes the row of a person, or adds another reaction to the row that they have. */
  #row(/** @type {import("../onetap.d.ts").Reactor} */ { user_id: id, reaction, reacted_at: at }) {
    const { client, draw, h, label, language, person } = this.inside;
    const given = h(
      'span',
      { role: 'img', title: label(reaction), 'aria-label': label(reaction) },
      draw(reaction),
    );
    const old = this.#rows.get(id);
    if (old) {
      old.lastElementChild?.append(given);
      return undefined;
    }
    const { name, url } = person(id);
    const inner = h('bdi', {}, name);
    const row = h(
      'li',
      { className: 'user' },
      h('span', { className: 'face', 'aria-hidden': 'true' }, [...name][0]),
      url
        ? h('a', { className: 'name', href: url }, inner)
        : h('span', { className: 'name' }, inner),
      at &&
        h(
          'time',
          { dateTime: at, title: new Date(at).toLocaleString(language) },
          ago(at, language, client),
        ),
      h('span', { className: 'given' }, given),
    );
    this.#rows.set(id, row);
    return row;
  }
}

/**
 * How long ago, by the service's clock if the client knows it. Never in the future, even if the
 * device's clock is wrong.
 */
function ago(at, language, client) {
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  let value = Math.min(0, Date.parse(at) - (client.now?.() ?? Date.now())) / 1000 || 0;
  for (const [unit, size] of /** @type {const} */ ([
    ['second', 60],
    ['minute', 60],
    ['hour', 24],
    ['day', 30],
    ['month', 12],
    ['year', Infinity],
  ])) {
    if (Math.abs(value) < size) return format.format(Math.round(value), unit);
    value /= size;
  }
}
