// Builds the empty bar and its buttons.

import { face, h } from './dom.js';

/** The bar, with the button that opens the picker and the line that says who reacted. */
export function frame(texts, { opened, who }) {
  const picker = h('div', {
    className: 'picker',
    popover: 'auto',
    role: 'group',
    'aria-label': texts.add,
  });
  picker.addEventListener('toggle', ({ newState }) => newState === 'open' && opened());
  const properties = {
    className: 'add',
    type: 'button',
    title: texts.add,
    'aria-label': texts.add,
    popoverTargetElement: picker,
  };
  const add = h('button', properties, face());
  const names = h('button', { className: 'who', type: 'button', onclick: who });
  const rule = h('span', { className: 'rule', hidden: true });
  const group = { className: 'bar', role: 'group', 'aria-label': texts.reactions };
  return { picker, add, who: names, rule, bar: h('div', group, add, rule, names) };
}

/** Shows why reactions cannot be added, in a bar where that may be so. */
export function explain({ rule, add, picker }, { closed, text }, readonly) {
  rule.hidden = readonly || !text;
  if (rule.textContent !== text) rule.textContent = text;
  add.disabled = !!closed;
  if (closed) picker.hidePopover();
}

/** Disables the button of a reaction that cannot be tapped, and says why. */
export function forbid(button, refusal, readonly) {
  button.disabled = readonly || !!refusal;
  if (refusal) button.title = refusal;
  else button.removeAttribute('title');
}

/** Shows whether a reaction is the user's own, and whether it waits. */
export function mark(button, reaction, mine, pending) {
  button.setAttribute('aria-pressed', String(mine));
  const parts = ['reaction', `reaction-${reaction}`, mine && 'pressed', pending && 'pending'];
  button.part = parts.filter(Boolean).join(' ');
  button.classList.toggle('pending', !!pending);
}

/** The button of a reaction, with places for its picture and its count. */
export function reactionButton(reaction, tap) {
  const button = h(
    'button',
    {
      className: 'reaction',
      type: 'button',
      value: reaction,
      onclick: ({ timeStamp }) => tap(reaction, timeStamp),
    },
    h('span', { className: 'picture', 'aria-hidden': 'true' }),
    ' ',
    h('span', { className: 'count', 'aria-hidden': 'true' }),
  );
  // Holding a key down is one tap.
  button.addEventListener(
    'keydown',
    (event) => event.repeat && event.key === 'Enter' && event.preventDefault(),
  );
  return button;
}
