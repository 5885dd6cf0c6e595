// Reads the element's attributes and children.

import { Onetap, postIdFromInteger } from '../onetap.js';
import { warn } from './text.js';

export const ATTRIBUTES = [
  'post-id',
  'summary',
  'reactions',
  'quick',
  'base-url',
  'user-id',
  'recent',
  'readonly',
];

/** Clients, by the attributes that they were made from. */
const clients = new Map();

const fits = ({ reaction, count }) =>
  typeof reaction === 'string' && reaction !== '' && Number.isInteger(count) && count >= 0;

/** The client reports an id that is neither a UUID nor an integer. @param {string} id */
export const postOf = (id) => {
  try {
    return /^\d+$/.test(id) ? postIdFromInteger(id) : id;
  } catch {
    return id;
  }
};

/** The client that a bar's attributes describe. @param {HTMLElement} bar */
export function clientOf(bar) {
  const options = {
    baseUrl: bar.getAttribute('base-url') ?? undefined,
    userId: bar.getAttribute('user-id') ?? undefined,
    recent: Math.min(20, Math.max(0, Number(bar.getAttribute('recent') ?? 3) || 0)),
  };
  const key = JSON.stringify(options);
  if (!clients.has(key)) {
    try {
      clients.set(key, new Onetap(options));
    } catch (error) {
      warn(error);
      // Show the post, but let nobody tap.
      clients.set(key, new Onetap({ ...options, userId: undefined }));
    }
  }
  return clients.get(key);
}

/**
 * The summary that the page gives: in the attribute, or in the children.
 * @param {HTMLElement} bar @param {string} post @param {boolean} childrenUsed
 */
export function summaryOf(bar, post, childrenUsed) {
  try {
    const summary = JSON.parse(bar.getAttribute('summary') ?? 'null');
    if (summary?.post_id === post) {
      if (summary.reactions.every(fits)) return summary;
      warn('the summary is not one');
    }
  } catch (error) {
    warn(`the summary is not JSON: ${error}`);
  }
  const all = bar.querySelectorAll(/** @type {'button'} */ ('button[name=reaction]'));
  const buttons = childrenUsed ? [] : [...all];
  if (!buttons.length) return undefined;
  const reactions = buttons.map((button) => ({
    reaction: button.value,
    count: Number(button.querySelector('data')?.value) || 0,
    mine: button.getAttribute('aria-pressed') === 'true',
  }));
  return { reactions: reactions.filter(fits) };
}
