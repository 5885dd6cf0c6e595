// Parts of the element, each in a file of its own from beside this one, loaded when first needed.

const PARTS = {
  card: () => import('./card.js'),
  dialog: () => import('./dialog.js'),
  images: () => import('./images.js'),
  picker: () => import('./picker.js'),
};
const loaded = {};
const failed = new Set();
/** By a name of its own, or bundlers would take it for a file to be found while they build. */
const here = import.meta.url;
/** How long somebody waits for such a file. */
export const LOAD_MS = 10_000;

/** @returns {Promise<any>} */
export function load(name) {
  if (!loaded[name]) {
    // A browser may keep in mind that an address failed, or wait for it for ever.
    const part = failed.has(name) ? again(name) : PARTS[name]();
    const late = new Promise((_, reject) =>
      setTimeout(reject, LOAD_MS, new Error(`nothing within ${LOAD_MS} ms`)),
    );
    loaded[name] = Promise.race([part, late]);
    loaded[name].catch(() => failed.add(name) && delete loaded[name]);
  }
  return loaded[name];
}

/** By another address: the parts lie beside onetap-bar.js, where build.mjs puts this module. */
const again = (name) => import(new URL(`onetap-${name}.js?${Date.now()}`, here).href);
