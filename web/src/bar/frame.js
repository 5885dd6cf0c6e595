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
  const group = { className: 'bar', role: 'group', 'aria-label': texts.reactions };
  return { picker, add, who: names, bar: h('div', group, add, names) };
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
