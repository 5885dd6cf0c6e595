// The card of <onetap-bar> that names who gave a reaction: under a resting pointer, at a button
// that the keys have reached, under a long touch. The list of who reacted has all that is on it.
// Loaded when a bar is first touched.

import css from './card.css';

/** @import {Inside} from '../internal.d.ts' */

const REST_MS = 400;
/**
 * From one button to the next while a card is open; and until it goes, so that the pointer can come
 * to it.
 */
const NEXT_MS = 150;
const LEAVE_MS = 200;
const TOUCH_MS = 500;
/** A finger that moves further wants to scroll. */
const SLOP = 10;
/** The most names on a card. */
const NAMES = 10;
const MOST_ASKED = 50;
/** Between the card and its button, which the card's ::before spans; and the edge of the window. */
const GAP = 6;
const EDGE = 8;

/**
 * Watches a bar from now on.
 * @param {() => Inside} look @param {HTMLElement} bar
 * @param {any} first the event that is still going on: a pointer that came, a finger that is down,
 * the focus
 */
export function attach(look, bar, first) {
  /**
   * The button whose card is open, or that is or has been pressed.
   * @type {HTMLButtonElement | undefined}
   */
  let target;
  let timer;
  /** A long touch has opened the card: what it ends with is no tap. */
  let touched = false;
  /** Ends what is listened to while the card is open. */
  let closing = new AbortController();
  /**
   * What lists said, by what a card would show without them.
   * @type {Map<string, {ids: string[], whole: boolean}>}
   */
  const asked = new Map();
  const { h, root } = look();
  const card = h('div', { className: 'card', popover: 'manual', role: 'tooltip' });

  const isOpen = () => card.matches(':popover-open');
  /** @returns {HTMLButtonElement | undefined} */
  const buttonAt = (element) => element?.closest?.('.reaction, .who') ?? undefined;

  function hide() {
    clearTimeout(timer);
    target = undefined;
    if (isOpen()) card.hidePopover();
  }

  function leave() {
    clearTimeout(timer);
    if (isOpen()) timer = setTimeout(hide, LEAVE_MS);
    else hide();
  }

  /** An open card stays until then: the pointer may cross a button on its way there. */
  function later(button, ms, then = () => {}) {
    clearTimeout(timer);
    timer = setTimeout(() => {
      hide();
      target = button;
      then();
      show(button);
    }, ms);
  }

  /** What the summary says of a button's reactions now, and the name of just that. */
  function stateOf(inside, button) {
    const states = inside.reactions.filter(
      ({ reaction }) => !button.value || reaction === inside.of(button.value).reaction,
    );
    const { ids, people } = inside.people(states);
    const count = states.reduce((sum, state) => sum + state.count, 0);
    return { ids, people, count, key: JSON.stringify([inside.post, button.value, count, ids]) };
  }

  async function show(button) {
    const inside = look();
    const { ids, people, count, key } = stateOf(inside, button);
    if (!count || !button.isConnected || root.querySelector('dialog[open], .picker:popover-open'))
      return;
    inside.adopt(root, css);
    if (!card.isConnected) root.append(card);
    card.showPopover();
    fill(button);
    const fresh = () => target === button && isOpen() && fill(button);
    listen(inside.client, fresh);
    try {
      if (inside.named && !asked.has(key) && ids.length !== people) {
        // A person may come with several reactions.
        const page = await inside.client.reactors(inside.post, {
          reaction: button.value || undefined,
          limit: 2 * NAMES,
        });
        if (asked.size > MOST_ASKED) asked.clear();
        asked.set(key, {
          ids: [...new Set(page.users.map((user) => user.user_id))],
          whole: !page.next_cursor,
        });
      }
      await inside.learn([...ids, ...(asked.get(key)?.ids ?? [])].slice(0, 2 * NAMES));
    } catch {
      // Those that the summary names are there.
    }
    fresh();
  }

  function fill(button) {
    const inside = look();
    const { ids: newest, people, count, key } = stateOf(inside, button);
    const list = asked.get(key);
    // The summary knows this user's own tap.
    const ids = [...new Set([...newest, ...(list?.ids.filter((id) => id !== inside.me) ?? [])])];
    const title = button.value
      ? [inside.draw(button.value), inside.label(button.value)]
      : [inside.texts.reactions];
    card.replaceChildren(
      h('p', { className: 'card-title' }, ...title, ` ${inside.number(count)}`),
      h(
        'p',
        { className: 'card-names' },
        ...inside.nodes(inside.sentence(ids, list?.whole ? ids.length : people, NAMES)),
      ),
    );
    place(button);
  }

  /** Above its button, or below; within the window. */
  function place(button) {
    const [from, { width, height }] = [
      button.getBoundingClientRect(),
      card.getBoundingClientRect(),
    ];
    const above = from.top - height - GAP;
    card.style.top = `${above >= EDGE ? above : from.bottom + GAP}px`;
    const left = Math.min(from.left + (from.width - width) / 2, innerWidth - width - EDGE);
    card.style.left = `${Math.max(EDGE, left)}px`;
  }

  function listen(client, fresh) {
    closing.abort();
    closing = new AbortController();
    const options = { capture: true, signal: closing.signal };
    // After the bar has taken it in.
    client.addEventListener('onetap-change', () => queueMicrotask(fresh), options);
    addEventListener('scroll', hide, options);
    addEventListener(
      'pointerdown',
      (event) => event.composedPath().includes(card) || hide(),
      options,
    );
    addEventListener(
      'keydown',
      (event) => {
        if (event.key !== 'Escape') return;
        // It closes the card, and not what the bar stands in.
        event.preventDefault();
        event.stopPropagation();
        hide();
      },
      options,
    );
  }

  function over(button) {
    if (button === target) clearTimeout(timer);
    else later(button, isOpen() ? NEXT_MS : REST_MS);
  }

  function press(button, { clientX, clientY }) {
    target = button;
    later(button, TOUCH_MS, () => (touched = true));
    const up = new AbortController();
    const options = { capture: true, signal: up.signal };
    const end = () => {
      up.abort();
      if (!touched) hide();
    };
    const move = (now) => Math.hypot(now.clientX - clientX, now.clientY - clientY) > SLOP && end();
    addEventListener('pointermove', move, options);
    addEventListener('pointerup', end, options);
    addEventListener('pointercancel', end, options);
  }

  card.addEventListener('pointerenter', () => clearTimeout(timer));
  card.addEventListener('pointerleave', leave);
  card.addEventListener('beforetoggle', ({ newState }) => newState === 'closed' && closing.abort());
  const isTouch = ({ pointerType }) => pointerType === 'touch';
  bar.addEventListener('pointerover', (event) => {
    const button = buttonAt(event.target);
    if (button && !isTouch(event)) over(button);
  });
  bar.addEventListener('pointerout', (event) => {
    const button = buttonAt(event.target);
    if (button && !isTouch(event) && buttonAt(event.relatedTarget) !== button) leave();
  });
  bar.addEventListener('pointerdown', (event) => {
    touched = false;
    const button = buttonAt(event.target);
    hide();
    if (button && isTouch(event)) press(button, event);
    // It is pressed for something else; no card before the pointer has left it.
    else target = button;
  });
  bar.addEventListener(
    'click',
    (event) => {
      if (touched) {
        event.preventDefault();
        event.stopPropagation();
      } else {
        hide();
        target = buttonAt(event.target);
      }
      touched = false;
    },
    true,
  );
  bar.addEventListener(
    'contextmenu',
    (event) => target && isTouch(event) && event.preventDefault(),
  );
  bar.addEventListener('focusin', (event) => {
    const button = buttonAt(event.target);
    if (button?.matches(':focus-visible')) over(button);
  });
  // A long touch may bring the focus here from elsewhere in the bar.
  bar.addEventListener('focusout', (event) => (event.target === target || !isOpen()) && hide());

  if (!first) return;
  const button = buttonAt(
    isTouch(first)
      ? root.elementFromPoint(first.clientX, first.clientY)
      : (bar.querySelector('.reaction:hover, .who:hover') ?? bar.querySelector(':focus-visible')),
  );
  if (!button) return;
  if (isTouch(first)) press(button, first);
  else if (first.type !== 'pointerdown') over(button);
}
