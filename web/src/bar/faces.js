// How reactions look: the page's list of them, pictures, words, images and counts.

import { reactionKey } from '../onetap.js';
import { h } from './dom.js';
import { LOAD_MS, load } from './load.js';
import { languageOf, own, warn } from './text.js';

/** @import {Page} from '../internal.d.ts' */
/** @import {Offer} from './offer.js' */

/** The part that shows the page's images. */
let images;

export class Faces {
  #bar;
  #page;
  #spelled;
  #offer;
  /** The parsed list, until the page may have changed it. */
  #listed;

  /**
   * @param {HTMLElement} bar @param {() => Page} page what the page has said of all bars
   * @param {(key: string) => string} spelled gives a reaction as the service spells it
   * @param {Offer} offer
   */
  constructor(bar, page, spelled, offer) {
    this.#bar = bar;
    this.#page = page;
    this.#spelled = spelled;
    this.#offer = offer;
  }

  /** Parses the list again when it is next needed. */
  forget() {
    this.#listed = undefined;
  }

  /** The page's list as text, or the service's; undefined until that is known. */
  text() {
    return this.#bar.getAttribute('reactions') ?? this.#offer.list();
  }

  /** The list by key, each with its picture: "like", "👍", "helpful=💡". */
  list() {
    const words = () => (this.text() ?? '').split(/\s+/).filter((word) => /^[^=]/.test(word));
    const face = (reaction) => own(this.#page().pictures, reaction) || this.#shape(reaction);
    return (this.#listed ??= new Map(
      words().map((word) => {
        const [reaction, picture] = word.split('=');
        const counted = this.#offer.counted(reaction);
        return [
          reactionKey(counted),
          picture || own(this.#page().pictures, reaction) || face(counted),
        ];
      }),
    ));
  }

  /** Shows a name as a word, and an emoji as it is. */
  #shape(reaction) {
    return /^[\w+-]+$/.test(reaction) ? this.label(reaction) : reaction;
  }

  #picture(key) {
    const listed = this.list().get(key) ?? own(this.#page().pictures, key);
    return listed ?? this.#shape(this.#spelled(key));
  }

  /** Puts the page's image, or the reaction's text, into its place. */
  draw(place, reaction) {
    const key = reactionKey(reaction);
    const asText = () => {
      place.textContent = this.#picture(key);
      place.classList.toggle('word', /\w/.test(place.textContent));
    };
    const { resolveReaction: resolve } = this.#page();
    if (!resolve || !place.firstElementChild) asText();
    if (resolve) {
      images ??= load('images').catch((error) => {
        warn(`images: ${error}`);
        setTimeout(() => (images = undefined), LOAD_MS);
      });
      images.then((part) =>
        part?.draw(place, key, { h, asText, resolve, warn, label: this.label(reaction) }),
      );
    }
    return place;
  }

  label(reaction) {
    const words = reaction.replace(/[_-]+/g, ' ').trim() || reaction;
    return own(this.#page().labels, reaction) ?? words[0].toUpperCase() + words.slice(1);
  }

  get language() {
    return languageOf(this.#bar);
  }

  /** A count, as the element shows it everywhere. */
  number(n) {
    return new Intl.NumberFormat(this.language, { notation: 'compact' }).format(n);
  }
}
