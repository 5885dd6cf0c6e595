// Asks the page for names of users, and says who gave some reactions.

import { isolate, tame, warn } from './text.js';

export class Users {
  #resolver;
  #told;
  /** Users by id, or the promise of the page's answer. */
  #users = new Map();
  /** Ids for the next call of `resolveUsers`, and that call. */
  #asked = [];
  #asking;

  /**
   * @param {() => ((ids: string[]) => any) | undefined} resolver gives the page's `resolveUsers`
   * @param {() => void} told is called when names have come
   */
  constructor(resolver, told) {
    this.#resolver = resolver;
    this.#told = told;
  }

  /** A user's name, or `nameless(id)`, and the address of their page. */
  person(id, nameless) {
    const { name, url } = this.#users.get(id) ?? {};
    const safe = /^(https?:|[/.?#])/.test(url);
    return { name: name || nameless(id), url: safe ? url : undefined };
  }

  /** At most `most` known names of these users; `you` for the user who is looking. */
  names(ids, me, you, most = 2) {
    this.learn(ids.slice(0, most + 1));
    return ids
      .filter((id) => id === me || this.#users.get(id)?.name)
      .slice(0, most)
      .map((id) => (id === me ? you : isolate(this.#users.get(id).name)));
  }

  /** Asks for names that are not known yet, in one call for all bars of the page. */
  learn(ids) {
    for (const id of ids) {
      if (!this.#resolver() || this.#users.has(id)) continue;
      this.#asked.push(id);
      this.#asking ??= Promise.resolve().then(() => this.#ask());
      this.#users.set(id, this.#asking);
    }
    return Promise.all(ids.map((id) => this.#users.get(id)));
  }

  async #ask() {
    const ids = this.#asked;
    this.#asked = [];
    this.#asking = undefined;
    try {
      const found = (await this.#resolver()?.(ids)) ?? [];
      for (const id of ids) {
        const { name, url } = found.find((user) => String(user.id) === id) ?? {};
        this.#users.set(id, { name: tame(name).trim(), url });
      }
      this.#told();
    } catch (error) {
      // The next time they are shown, ask again.
      for (const id of ids) this.#users.delete(id);
      warn(`resolveUsers: ${error}`);
    }
  }
}

/** The users of a summary and when they reacted. This user's own flag is newer than that. */
function known({ mine, recent = [] }, me) {
  const times = new Map(recent.map((user) => [user.user_id, user.reacted_at]));
  times.delete(me);
  return mine && me ? times.set(me, '~') : times;
}

/**
 * Who gave these reactions, newest first, as far as it is known; and how many they are, NaN if
 * nobody knows.
 */
export function peopleOf(reactions, me) {
  const lists = reactions.map((reaction) => known(reaction, me));
  const times = new Map(lists.flatMap((list) => [...list]));
  const ids = [...times.keys()].sort((a, b) => (times.get(a) < times.get(b) ? 1 : -1));
  if (reactions.length < 2) return { ids, people: reactions[0]?.count ?? 0 };
  // A person may have several reactions, so the number is only known if the lists are complete.
  const whole = lists.every(({ size }, i) => size >= reactions[i].count);
  return { ids, people: whole ? ids.length : NaN };
}
