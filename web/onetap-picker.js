/** The picker of <onetap-bar>, with a search if its list is long: loaded when it is first needed. */

/** @import {Inside} from './internal.d.ts' */

const CSS = `
.picker { position: fixed; inset: auto; margin: 0; padding: .375rem; border: 1px solid var(--_line);
  border-radius: 1.5rem; background: var(--_panel); color: inherit; overflow: hidden;
  max-inline-size: min(8 * var(--_size) + 1.75rem, 96vw); box-shadow: 0 8px 30px #0003 }
.picker:popover-open { display: flex; flex-direction: column; gap: .375rem }
.picker.placed { visibility: visible }
.options { display: flex; flex-wrap: wrap; gap: .125rem; overflow-y: auto; overscroll-behavior: contain }
.option { padding: 0 .3em; display: inline-flex; align-items: center; justify-content: center }
.option .picture:not(.word) { font-size: 1.25em }
.option:hover { background: var(--_back) }
.option[aria-pressed=true] { background: color-mix(in srgb, var(--_accent) 18%, var(--_panel)) }
.search { font: inherit; color: inherit; background: var(--_back); border: 1px solid var(--_line); flex: none;
  min-block-size: var(--_size); inline-size: 100%; border-radius: var(--_radius); padding: 0 .9em }
.nothing { margin: 0; padding: .5rem .75rem; font-weight: 400 }
.nothing:empty { display: none }
`;

/** From so many reactions on there is a search. */
const LONG = 12;
/** Between the picker and the bar, and the edge of the window. */
const GAP = 6;
const EDGE = 8;

/** Without accents and case. @param {string} text */
const plain = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replace(/[_-]+/g, ' ');

/** Fills and places what has just been opened. @param {Inside} inside @param {HTMLElement} picker @param {HTMLElement} add */
export function open(inside, picker, add) {
  if (!picker.matches(':popover-open')) return;
  const { adopt, bar, h, label, listed, of, root, tap, texts } = inside;
  adopt(root, CSS);
  const options = listed.map((reaction) => h('button', { className: 'option', type: 'button', title: label(reaction),
    'aria-label': label(reaction), 'aria-pressed': String(of(reaction).mine),
    onclick: () => {
      picker.hidePopover();
      tap(reaction);
    } }, inside.draw(reaction)));
  const nothing = h('p', { className: 'nothing', role: 'status' });
  const search = listed.length < LONG ? undefined : h('input', { className: 'search', type: 'search', placeholder: texts.search,
    'aria-label': texts.search, autocomplete: 'off', enterKeyHint: 'done' });
  const find = () => {
    const terms = plain(search.value).split(/\s+/);
    options.forEach((option, i) => {
      const words = plain([label(listed[i]), listed[i], option.textContent, option.querySelector('img')?.alt].join(' '));
      option.hidden = !terms.every((term) => words.includes(term));
    });
    nothing.textContent = options.some(({ hidden }) => !hidden) ? '' : texts.nothing;
  };
  search?.addEventListener('input', find);
  search?.addEventListener('keydown', (event) => {
    // While an input method is composing, Enter is its own.
    if (event.key !== 'Enter' || event.isComposing) return;
    event.preventDefault();
    if (search.value.trim()) options.find(({ hidden }) => !hidden)?.click();
  });
  picker.replaceChildren(...[search, h('div', { className: 'options' }, ...options), search && nothing].filter(Boolean));

  place(picker, add, bar);
  // It keeps its size while the list gets shorter.
  if (search) Object.assign(picker.style, { width: `${picker.offsetWidth}px`, height: `${picker.offsetHeight}px` });
  // Where it would bring up a keyboard, nobody has asked for that yet.
  (search && matchMedia('(pointer: fine)').matches ? search : options[0])?.focus({ preventScroll: true });

  // It stays where it is in the window, so it goes when its button moves, unless that is the keyboard's doing.
  const moved = () => {
    if (search && root.activeElement === search) place(picker, add, bar, true);
    else picker.hidePopover();
  };
  addEventListener('scroll', moved, { capture: true });
  picker.addEventListener('beforetoggle', () => {
    removeEventListener('scroll', moved, { capture: true });
    picker.classList.remove('placed');
    if (picker.contains(root.activeElement)) add.focus({ preventScroll: true });
  }, { once: true });
}

/** Above the bar, or below it where there is more room: its buttons stay to be seen. Within the window. */
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
