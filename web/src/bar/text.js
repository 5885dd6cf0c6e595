// Makes texts of users safe, and finds what the page says about a reaction and its language.

import { reactionKey } from '../onetap.js';

/** A user's text without control characters, line breaks and marks that change direction. */
export const tame = (text) =>
  String(text ?? '').replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, '');

/** Between bidi isolation marks, so that a name does not reorder the sentence around it. */
export const isolate = (text) => `\u2068${tame(text)}\u2069`;

/** The page's entry for a reaction, in either spelling. */
export const own = (record, reaction) =>
  Object.hasOwn(record, reaction)
    ? record[reaction]
    : Object.entries(record).find(([name]) => reactionKey(name) === reactionKey(reaction))?.[1];

/** Warns the page's author in the console, once for each text. */
const warned = new Set();
export const warn = (text) => {
  if (!warned.has(text)) console.warn(`onetap-bar: ${text}`);
  warned.add(text);
};

/**
 * The language that the page declares, also outside of the shadow roots around; undefined if it
 * declares none or one that is invalid.
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
