// Elements from texts. Nothing of the document is ever read as HTML.

/** @typedef {Record<string, string | boolean>} Attributes */

/**
 * An element with attributes and children.
 * @param {string} name @param {Attributes} attributes
 * @param {(Node | string | undefined)[]} children
 */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (value !== false) element.setAttribute(key, value === true ? '' : value);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** A text in which backticks mark code. @param {string} [text] */
export function prose(text = '') {
  const parts = text.replaceAll('\n', ' ').split('`');
  return parts.map((part, place) => (place % 2 ? make('code', {}, part) : part));
}

/** Paragraphs of such a text. @param {string} [text] */
export const paragraphs = (text = '') =>
  text.split('\n\n').flatMap((part) => (part.trim() ? [make('p', {}, ...prose(part))] : []));
