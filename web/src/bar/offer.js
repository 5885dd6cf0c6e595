// What the service offers on a bar's post, and why it would refuse a reaction.

/** @import {Onetap} from '../onetap.d.ts' */
/** @import {Texts} from '../onetap-bar.d.ts' */

/** So long a bar without a list waits for it, so that none of its buttons moves. */
const LATE_MS = 1_000;

export class Offer {
  #look;
  #told;
  /** The client that was asked for the palettes, and whether it has answered. */
  #asked;
  #answered = false;
  /** The bar shows what it knows, though it may have to move it later. */
  isLate = false;

  /**
   * @param {() => {client?: Onetap, post: string, texts: Texts}} look what the bar shows now
   * @param {() => void} told is called when the palettes are known
   */
  constructor(look, told) {
    this.#look = look;
    this.#told = told;
  }

  /** Asks the client for the palettes, once. */
  ask() {
    const { client } = this.#look();
    if (!client || this.#asked === client) return;
    [this.#asked, this.#answered] = [client, false];
    const late = setTimeout(() => {
      this.isLate = true;
      this.#told();
    }, LATE_MS);
    // The demo's client, and perhaps a page's own, know no palettes.
    Promise.resolve(client.palettes?.()).then(() => {
      clearTimeout(late);
      this.#answered = true;
      this.#told();
    });
  }

  /** The list for a page that has none: the palette's, or `like`; undefined until it is known. */
  list() {
    const { client, post } = this.#look();
    const { reactions } = client?.palette?.(post) ?? {};
    if (Array.isArray(reactions)) return reactions.join(' ');
    return reactions || this.#answered ? 'like' : undefined;
  }

  /** The reaction that a name counts as. */
  counted(name) {
    const { client, post } = this.#look();
    return client?.counted?.(post, name) ?? name;
  }

  /**
   * Why the user cannot tap a reaction. Their own they can always remove. A moderator's rules are
   * known before the palettes are.
   */
  refusal({ reaction, count, mine }) {
    const { client, post, texts } = this.#look();
    const { locked, add } = client?.state(post) ?? {};
    let code = mine ? undefined : client?.refusal?.(post, reaction);
    if (!mine && (locked || add === 'none')) code = 'reactions_locked';
    if (!mine && !count && add === 'existing') code ??= 'reaction_not_allowed';
    return code && (texts.problems[code] ?? code);
  }

  /** Why nothing, or little, can be added to the post. */
  note(state) {
    const { texts } = this.#look();
    const closed = state?.locked || state?.add === 'none';
    return {
      closed,
      text: closed ? texts.locked : state?.add === 'existing' ? texts.existing : '',
    };
  }
}
