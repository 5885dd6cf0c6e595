// A client in Node, for what needs no browser: its rules over the real service, and its clocks.

import { Onetap } from '../../dist/onetap.js';
import { until } from './service.js';

/** A client of the test's, closed with it; `states` and `errors` hold what it told. */
export function nodeClient(t, site, options = {}) {
  // A fetch of its own: it shares nothing with the clients of other tests.
  const client = new Onetap({
    baseUrl: site.url,
    userId: options.token ? undefined : 1,
    live: false,
    fetch: (...args) => fetch(...args),
    ...options,
  });
  const told = { client, states: [], errors: [] };
  client.addEventListener('onetap-change', ({ detail }) => told.states.push(detail));
  client.addEventListener('onetap-error', ({ detail }) => told.errors.push(detail));
  t.after(() => client.close());
  /** What is shown of a reaction. */
  told.shown = (post, reaction = 'like') => {
    const {
      count = 0,
      mine = false,
      pending = false,
    } = client.state(post)?.reactions.find((r) => r.reaction === reaction) ?? {};
    return { count, mine, pending };
  };
  told.known = (post) => until('the post is known', () => client.state(post));
  told.watch = async (post, initial) => {
    const stop = client.watch(post, initial);
    await told.known(post);
    return stop;
  };
  return told;
}

/** A promise and its switch. */
export function gate() {
  let open;
  const closed = new Promise((resolve) => (open = resolve));
  return { closed, open };
}
