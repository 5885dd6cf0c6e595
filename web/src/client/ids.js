// Ids of posts, names of reactions, idempotency keys.

export const UUID = /^(?=.*[1-9a-f])[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;
/** Checked because `..` in a path would address something else. */
const REACTION = /^[a-z\d+-][\w+-]{0,31}$|[^\0-\x7f]/;
/** A lone surrogate cannot be encoded in a URL. @param {string} text */
export const isReaction = (text) => REACTION.test(text) && text.isWellFormed();

/** @param {string} reaction */
export const reactionKey = (reaction) => reaction.replaceAll('\uFE0F', '');

/** JavaScript rounds numbers above 2^53. */
export const exactly = (pattern, n) =>
  pattern.test(String(n)) && (typeof n !== 'number' || Number.isSafeInteger(n));

/** @param {number | bigint | string} n */
export function postIdFromInteger(n) {
  const integer = exactly(/^\d+$/, n) ? BigInt(n) : -1n;
  if (integer >> 62n) throw new RangeError(`an integer from 0 to 2^62 - 1: ${n}`);
  const hex = (integer | (1n << 63n)).toString(16);
  return `6f6e6574-6170-8000-${hex.slice(0, 4)}-${hex.slice(4)}`;
}

/** @param {string} id */
export function integerFromPostId(id) {
  const hex = /^6f6e6574-6170-8000-([89ab][\da-f]{3})-([\da-f]{12})$/i.exec(id);
  return hex && BigInt.asUintN(62, BigInt(`0x${hex[1]}${hex[2]}`));
}

/** `crypto.randomUUID` exists only in secure contexts (HTTPS). */
export const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
