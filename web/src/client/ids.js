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

/** A text id, or an integer. `.` and `..` in a path would address something else. */
const USER = /^(?!_|(me|\.\.?)$)[\w.@|:~=+-]{1,64}$/;
/** @param {number | bigint | string} id */
export const isUser = (id) => exactly(typeof id === 'string' ? USER : /^[1-9]\d{0,18}$/, id);

/** @param {number | bigint | string} n @param {number} [kind] @param {unknown[]} rest */
export function postIdFromInteger(n, kind = 0, ...rest) {
  // `map` gives the index of each integer, which is no kind.
  if (rest.length) throw new TypeError('in `map`, write n => postIdFromInteger(n)');
  if (!(Number.isInteger(kind) && kind >= 0 && kind < 2 ** 14))
    throw new RangeError(`a kind is an integer from 0 to 2^14 - 1: ${kind}`);
  const bits = kind ? 48n : 62n;
  const integer = exactly(/^\d+$/, n) ? BigInt(n) : -1n;
  if (integer >> bits) throw new RangeError(`an integer from 0 to 2^${bits} - 1: ${n}`);
  const hex = (integer | (BigInt(kind) << 48n) | (1n << 63n)).toString(16);
  return `6f6e6574-6170-8000-${hex.slice(0, 4)}-${hex.slice(4)}`;
}

/** @param {string} id */
export function integerFromPostId(id) {
  const hex = /^6f6e6574-6170-8000-([89ab][\da-f]{3})-([\da-f]{12})$/i.exec(id);
  return hex && BigInt.asUintN(62, BigInt(`0x${hex[1]}${hex[2]}`));
}

/** `crypto.randomUUID` exists only in secure contexts (HTTPS). */
export const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
