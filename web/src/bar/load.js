// Loads the parts of the element on first use. Each is a file beside onetap-bar.js.

const PARTS = {
  card: () => import('./card.js'),
  dialog: () => import('./dialog.js'),
  images: () => import('./images.js'),
  picker: () => import('./picker.js'),
};
const loaded = {};
const failed = new Set();
/** A constant, because bundlers resolve `new URL('…', import.meta.url)` at build time. */
const here = import.meta.url;
/** The timeout for loading a part. */
export const LOAD_MS = 10_000;

/** @returns {Promise<any>} */
export function load(name) {
  if (!loaded[name]) {
    // A browser may cache the failure of an address, or wait for it forever.
    const part = failed.has(name) ? again(name) : PARTS[name]();
    const late = new Promise((_, reject) =>
      setTimeout(reject, LOAD_MS, new Error(`nothing within ${LOAD_MS} ms`)),
    );
    loaded[name] = Promise.race([part, late]);
    loaded[name].catch(() => failed.add(name) && delete loaded[name]);
  }
  return loaded[name];
}

/** By another address. build.mjs bundles this module into onetap-bar.js, beside the parts. */
const again = (name) => import(new URL(`onetap-${name}.js?${Date.now()}`, here).href);
