// Texts of strangers and of the page, and how numbers are written.

import { reactionKey } from '../onetap.js';

/** Strangers' text without what would turn, or end, the line around it. */
export const tame = (text) =>
  String(text ?? '').replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, '');

/** Between marks, for titles and sentences of the page: what it is next to does not reorder it. */
export const isolate = (text) => `\u2068${tame(text)}\u2069`;

/** What the page says of a reaction, however it spells that. */
export const own = (record, reaction) =>
  Object.hasOwn(record, reaction)
    ? record[reaction]
    : Object.entries(record).find(([name]) => reactionKey(name) === reactionKey(reaction))?.[1];

/** What the page's author should hear, once. */
const warned = new Set();
export const warn = (text) => {
  if (!warned.has(text)) console.warn(`onetap-bar: ${text}`);
  warned.add(text);
};

/**
 * As the page says, also from outside of the shadow roots around; undefined where it says nothing
 * that is a language.
 * @param {any} node
 */
export function languageOf(node) {
  let found = /** @type {any} */ (null);
  for (; node && !found; node = node.getRootNode().host) found = node.closest('[lang]');
  try {
    return Intl.getCanonicalLocales(found?.getAttribute('lang'))[0];
  } catch {
    return undefined;
  }
}
