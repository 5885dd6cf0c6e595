// The card of <onetap-bar> that names who gave a reaction. It opens under a resting pointer, at a
// button with the keyboard focus, and under a long touch. The dialog shows all that it shows. The
// element loads this file when somebody first touches a bar.

import css from './card.css';

/** @import {Inside} from '../internal.d.ts' */

const REST_MS = 400;
/** Delay from button to button while a card is open, and until it closes without the pointer. */
const NEXT_MS = 150;
const LEAVE_MS = 200;
const TOUCH_MS = 500;
/** A finger that moves further scrolls. */
const SLOP = 10;
/** The most names on a card. */
const NAMES = 10;
const MOST_ASKED = 50;
/** Between the card and its button, which the card's ::before spans; and the edge of the window. */
const GAP = 6;
const EDGE = 8;

/**
 * Watches a bar.
 * @param {() => Inside} look @param {HTMLElement} bar
 * @param {any} first the event that is still going on: pointerenter, pointerdown or focusin
 */
export function attach(look, bar, first) {
  /**
   * The button whose card is open, or the last one pressed.
   * @type {HTMLButtonElement | undefined}
   */
  let target;
  let timer;
  /** A long touch has opened the card, so the click at its end is no tap. */
  let touched = false;
  /** Removes the listeners of an open card. */
  let closing = new AbortController();
  /**
   * Lists of reactors, by what the card would show without them.
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

  /** Until then an open card stays: the pointer may cross another button on its way to it. */
  function later(button, ms, then = () => {}) {
    clearTimeout(timer);
    timer = setTimeout(() => {
      hide();
      target = button;
      then();
      show(button);
    }, ms);
  }

  /** What the summary says about a button's reactions, and a key for exactly that. */
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
        // A list names a person once for each reaction.
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
      // The names in the summary are enough.
    }
    fresh();
  }

  function fill(button) {
    const inside = look();
    const { ids: newest, people, count, key } = stateOf(inside, button);
    const list = asked.get(key);
    // The summary is newer than the list about this user's own tap.
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
    // The bar takes the event in first.
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
        // Escape closes the card only, not a dialog around the bar.
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
    // A press wants something else: no card until the pointer leaves the button.
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
  // A long touch may move the focus here from elsewhere in the bar.
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
