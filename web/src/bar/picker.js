// The picker of <onetap-bar>, with a search if its list is long. The element loads it on first use.

import css from './picker.css';

/** @import {Inside} from '../internal.d.ts' */

/** A list of so many reactions gets a search. */
const LONG = 12;
/** Distance to the bar, and to the edge of the window. */
const GAP = 6;
const EDGE = 8;

/** Without accents and case. @param {string} text */
const plain = (text) =>
  text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replace(/[_-]+/g, ' ');

/**
 * Fills and places the picker that has just been opened.
 * @param {Inside} inside @param {HTMLElement} picker @param {HTMLElement} add
 */
export function open(inside, picker, add) {
  if (!picker.matches(':popover-open')) return;
  const { adopt, bar, h, label, listed, of, refusal, root, tap, texts } = inside;
  adopt(root, css);
  const options = listed.map((reaction) =>
    h(
      'button',
      {
        className: 'option',
        type: 'button',
        title: refusal(reaction) ?? label(reaction),
        disabled: !!refusal(reaction),
        'aria-label': label(reaction),
        'aria-pressed': String(of(reaction).mine),
        onclick: () => {
          picker.hidePopover();
          tap(reaction);
        },
      },
      inside.draw(reaction),
    ),
  );
  const nothing = h('p', { className: 'nothing', role: 'status' });
  const search =
    listed.length < LONG
      ? undefined
      : h('input', {
          className: 'search',
          type: 'search',
          placeholder: texts.search,
          'aria-label': texts.search,
          autocomplete: 'off',
          enterKeyHint: 'done',
        });
  const find = () => {
    const terms = plain(search.value).split(/\s+/);
    options.forEach((option, i) => {
      const words = plain(
        [label(listed[i]), listed[i], option.textContent, option.querySelector('img')?.alt].join(
          ' ',
        ),
      );
      option.hidden = !terms.every((term) => words.includes(term));
    });
    nothing.textContent = options.some(({ hidden }) => !hidden) ? '' : texts.nothing;
  };
  search?.addEventListener('input', find);
  search?.addEventListener('keydown', (event) => {
    // While an input method is composing, Enter belongs to it.
    if (event.key !== 'Enter' || event.isComposing) return;
    event.preventDefault();
    if (search.value.trim()) options.find(({ hidden, disabled }) => !hidden && !disabled)?.click();
  });
  picker.replaceChildren(
    ...[search, h('div', { className: 'options' }, ...options), search && nothing].filter(Boolean),
  );

  place(picker, add, bar);
  // Keep the size while the search shortens the list.
  if (search)
    Object.assign(picker.style, {
      width: `${picker.offsetWidth}px`,
      height: `${picker.offsetHeight}px`,
    });
  // On a touch screen the focus would open a keyboard, so focus the search only with a mouse.
  (search && matchMedia('(pointer: fine)').matches
    ? search
    : options.find(({ disabled }) => !disabled)
  )?.focus({
    preventScroll: true,
  });

  // The picker is fixed in the window, so close it when the page scrolls away from it. With the
  // search in use, an on-screen keyboard may have scrolled the page: then move it along.
  const moved = () => {
    if (search && root.activeElement === search) place(picker, add, bar, true);
    else picker.hidePopover();
  };
  addEventListener('scroll', moved, { capture: true });
  picker.addEventListener(
    'beforetoggle',
    () => {
      removeEventListener('scroll', moved, { capture: true });
      picker.classList.remove('placed');
      if (picker.contains(root.activeElement)) add.focus({ preventScroll: true });
    },
    { once: true },
  );
}

/**
 * Places it above the bar, or below it if there is more room, so that the bar stays visible.
 * Always within the window.
 */
function place(picker, add, bar, again = false) {
  const { style } = picker;
  if (!again) style.width = style.height = style.maxHeight = '';
  const [from, around] = [add.getBoundingClientRect(), bar.getBoundingClientRect()];
  const { width, height } = picker.getBoundingClientRect();
  const [above, below] = [around.top - GAP - EDGE, innerHeight - around.bottom - GAP - EDGE];
  const up = above >= height || above >= below;
  const left = getComputedStyle(bar).direction === 'rtl' ? from.right - width : from.left;
  style.left = `${Math.max(EDGE, Math.min(left, innerWidth - width - EDGE))}px`;
  style.top = up ? 'auto' : `${around.bottom + GAP}px`;
  style.bottom = up ? `${innerHeight - around.top + GAP}px` : 'auto';
  style.maxHeight = `${Math.max(up ? above : below, 96)}px`;
  picker.classList.add('placed');
}
