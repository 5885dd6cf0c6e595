// Shows the page's images of reactions in <onetap-bar>. The element loads this file if the page has
// set `OnetapBar.resolveReaction`.

/**
 * By key: an image, false where there is none, or the promise of either.
 * @type {Map<string, any>}
 */
const images = new Map();

/** Asks the page for an image. Takes only addresses that are safe in an <img> on any page. */
async function ask(key, resolve, warn) {
  try {
    const { url, alt } = (await resolve(key)) ?? {};
    if (!url) return false;
    const { href } = new URL(url, document.baseURI);
    if (/^(https:|data:image\/)/i.test(href)) return { href, alt };
    warn(`resolveReaction: an image is https: or data:image/, not ${href.slice(0, 80)}`);
  } catch (error) {
    warn(`resolveReaction: ${error}`);
    // The next time it is shown, ask again.
    images.delete(key);
  }
  return false;
}

/**
 * Replaces the text of a reaction by its image, as soon as there is one.
 * @param {HTMLElement} place @param {string} key
 * @param {{h: any, label: string, asText: () => void, warn: (text: string) => void,
 *   resolve: (reaction: string) => any}} page
 */
export async function draw(place, key, page) {
  if (!images.has(key)) {
    const asked = ask(key, page.resolve, page.warn);
    images.set(key, asked);
    const image = await asked;
    if (images.get(key) === asked) images.set(key, image);
  }
  const image = await images.get(key);
  if (!image) return;
  const alt = String(image.alt || page.label);
  const old = /** @type {HTMLImageElement | null} */ (place.querySelector('img'));
  if (old && old.src === image.href) {
    old.alt = alt;
    return;
  }
  const onerror = () => {
    images.set(key, false);
    page.asText();
  };
  const { href } = image;
  place.replaceChildren(
    page.h('img', {
      className: 'image',
      alt,
      referrerPolicy: 'no-referrer',
      draggable: false,
      onerror,
      src: href,
    }),
  );
  place.classList.remove('word');
}
