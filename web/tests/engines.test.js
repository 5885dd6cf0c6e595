// The central promises of client and element in three engines, since engines differ. The tests in
// client_*.test.js, bar_*.test.js and demo_page.test.js go deeper, in Chromium alone.
//
// A new one: add a test to `promises`, with what support/engines.js lists.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { withOnetap } from './figures/double-taps.js';
import { labelsOf, openForum, settled } from './support/bars.js';
import { openClient, showsIn } from './support/browser.js';
import { ENGINES, tapOn } from './support/engines.js';
import { moderate, startWithPalettes } from './support/palettes.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

const DOUBLE_TAPS = 12;
/** Longer than the default, because on a busy machine a second tap may come late. */
const GESTURE_MS = 3_000;

let service, offering;
before(async () => {
  [service, offering] = await Promise.all([startService({ args: ['--demo'] }), startWithPalettes()]);
});
after(() => Promise.all([service.stop(), offering.stop()]));

/** The tests of an engine, `browser()`. */
function promises(browser) {
  /** A site, and a browser that has visited nothing else. */
  async function place(t, behind = service) {
    const site = await startSite({ service: behind });
    const context = await browser().newContext();
    t.after(() => Promise.all([context.close(), site.stop()]));
    site.live = () => site.streams().filter(({ closed }) => !closed);
    return { site, context };
  }
  const tap = (page, post) => page.evaluate((post) => client.tap(post, 'like'), post);
  const problems = (page) => page.evaluate(() => problems);

  test('double taps on a bad network end as they were meant', async () => {
    const { right } = await withOnetap(browser(), service, DOUBLE_TAPS, { gestureMs: GESTURE_MS });
    assert.equal(right, DOUBLE_TAPS);
  });

  test('a thumb taps twice on a bar: one wish, shown at once, counted and said once', async (t) => {
    const { site, context } = await place(t);
    const post = newPost();
    await other(service, post, 2);
    const bar = `<onetap-bar post-id="${post}" reactions="like love" user-id="1"></onetap-bar>`;
    const script = `OnetapBar.client = new Onetap({ userId: 1, gestureMs: ${GESTURE_MS} });`;
    const page = await openForum(context, site, bar, { script });
    const reads = (wanted) =>
      until(`it reads ${wanted}`, async () => {
        const is = await page.evaluate(`(${labelsOf})(document.querySelector('onetap-bar'))`);
        return String(is) === wanted;
      });
    await reads('Like, 1');
    let release;
    const gate = new Promise((resolve) => (release = resolve));
    site.faults = ({ method }) => (method === 'PUT' ? { hold: gate } : undefined);
    const like = () => document.querySelector('onetap-bar').shadowRoot.querySelector('.reaction');
    await tapOn(page, like, undefined, { taps: 2 });
    await reads('Like, 2 *');
    release();
    await settled(page);
    const spoken = () =>
      page.evaluate(() => document.querySelector('onetap-bar').shadowRoot.querySelector('.spoken').textContent);
    await until('it is said', async () => (await spoken()) === 'Like added, 2 in all');
    assert.deepEqual(await held(service, post, 1), { count: 2, mine: true });
    assert.deepEqual(
      site.writes().map(({ method }) => method),
      ['PUT'],
    );
    // Other people's taps arrive while it stands there.
    await other(service, post, 3);
    await reads('Like, 3 *');
    assert.deepEqual(await problems(page), []);
  });

  test('a bar offers the palette, shows a group as one choice, and closes with its post', async (t) => {
    const { site, context } = await place(t, offering);
    const post = newPost();
    await other(offering, post, 1, true, 'up');
    const bar = `<onetap-bar post-id="${post}" quick="4" user-id="1"></onetap-bar>`;
    const page = await openForum(context, site, bar);
    const reads = (wanted) =>
      until(`it reads ${wanted}`, async () => {
        const is = await page.evaluate(`(${labelsOf})(document.querySelector('onetap-bar'))`);
        return String(is) === wanted;
      });
    await reads('Like,Up, 1 *,Down,👍');
    let release;
    const gate = new Promise((resolve) => (release = resolve));
    site.faults = ({ method }) => (method === 'PUT' ? { hold: gate } : undefined);
    const down = () => document.querySelector('onetap-bar').shadowRoot.querySelectorAll('.reaction')[2];
    await tapOn(page, down);
    await reads('Like,Up,Down, 1 *,👍');
    release();
    await settled(page);
    assert.deepEqual(await held(offering, post, 1, 'up'), { count: 0, mine: false });
    await moderate(offering, post, 'lock');
    const closed = () =>
      page.evaluate(() => {
        const root = document.querySelector('onetap-bar').shadowRoot;
        const enabled = [...root.querySelectorAll('.reaction')].map((button) => !button.disabled);
        return `${root.querySelector('.rule').textContent}: ${enabled}`;
      });
    const wanted = 'Closed: reactions can only be removed: false,false,true,false';
    await until('it is closed', async () => (await closed()) === wanted);
    assert.deepEqual(await problems(page), []);
  });

  test("two users see each other's taps", async (t) => {
    const { site, context } = await place(t);
    const another = await browser().newContext();
    t.after(() => another.close());
    const post = newPost();
    const anna = await openClient(context, site, { userId: 1 }, [post]);
    const ben = await openClient(another, site, { userId: 2 }, [post]);
    for (const page of [anna, ben]) await showsIn(page, post, { count: 0 });
    await tap(anna, post);
    await showsIn(ben, post, { count: 1, mine: false });
    await tap(ben, post);
    await showsIn(anna, post, { count: 2, mine: true, pending: false });
    for (const page of [anna, ben]) {
      assert.deepEqual(await page.evaluate(() => [...errors, ...problems]), []);
    }
  });

  test('two clients of one page, each with a fetch of its own, both hear of a tap', async (t) => {
    const { site, context } = await place(t);
    const post = newPost();
    const page = await openClient(context, site);
    await page.evaluate((post) => {
      globalThis.clients = [1, 2].map((userId) => new Onetap({ userId, fetch: (...request) => fetch(...request) }));
      for (const client of clients) client.watch(post);
    }, post);
    const counts = (wanted) =>
      page.waitForFunction(
        ([post, wanted]) =>
          clients.every((each) => {
            const reactions = each.state(post)?.reactions;
            return reactions && (reactions[0]?.count ?? 0) === wanted;
          }),
        [post, wanted],
        { timeout: 5_000, polling: 20 },
      );
    await counts(0);
    await until('both stream', () => site.live().length === 2);
    await other(service, post, 5);
    await counts(1);
    assert.deepEqual(await problems(page), []);
  });

  test('tabs share one stream, and when its tab closes the other goes on', async (t) => {
    const { site, context } = await place(t);
    const [post, only] = [newPost(), newPost()];
    const first = await openClient(context, site, { userId: 1 }, [post]);
    await until('the first streams', () => site.live().length === 1);
    const second = await openClient(context, site, { userId: 1 }, [post, only]);
    await until('one stream has the posts of both', () => {
      const [one, two] = site.live();
      return !two && one?.path.includes(only);
    });
    await other(service, only, 5);
    await showsIn(second, only, { count: 1 });
    await tap(first, post);
    await showsIn(second, post, { count: 1, mine: true });
    await first.close();
    await until('the second streams', () => site.live().length === 1);
    await other(service, only, 6);
    await showsIn(second, only, { count: 2 });
  });

  test('where the browser has no locks, as on plain http, each of two tabs streams', async (t) => {
    const { site, context } = await place(t);
    site.pages['/page'] = `<!doctype html><script>
        Object.defineProperty(Navigator.prototype, 'locks', { value: undefined });</script>
      <script type="module">Object.assign(globalThis, await import('/onetap.js')); globalThis.ready = true;</script>`;
    const post = newPost();
    const first = await openClient(context, site, { userId: 1 }, [post]);
    const second = await openClient(context, site, { userId: 1 }, [post]);
    await until('both stream', () => site.live().length === 2);
    await other(service, post, 5);
    for (const page of [first, second]) await showsIn(page, post, { count: 1 });
  });

  for (const [how, leave] of Object.entries({
    'another page is opened': (page, site) => page.goto(`${site.url}/page?another`),
    'the tab is closed': (page) => page.close(),
  })) {
    test(`a tap that is lost, and ${how} before it is sent again: it is counted`, async (t) => {
      const { site, context } = await place(t);
      const post = newPost();
      const page = await openClient(context, site, { userId: 1 }, [post]);
      await showsIn(page, post, { count: 0 });
      site.faults = ({ method }) => (method === 'PUT' ? { drop: 'before' } : undefined);
      await tap(page, post);
      await page.waitForFunction(() => errors.length > 0);
      site.faults = () => undefined;
      await leave(page, site);
      await until('it is counted', async () => (await held(service, post, 1)).mine);
      assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
    });
  }

  test('a tap without an answer outlives its tab: the next page of the site sends it', async (t) => {
    const { site, context } = await place(t);
    const post = newPost();
    await other(service, post, 2);
    const first = await openClient(context, site, { userId: 1 }, [post]);
    await showsIn(first, post, { count: 1 });
    const cut = ({ path }) => (path.startsWith('/v1/') ? { drop: 'before' } : undefined);
    site.faults = cut;
    await tap(first, post);
    await first.waitForFunction(() => errors.length > 0);
    await first.close();
    assert.equal((await held(service, post, 1)).mine, false);
    const second = await openClient(context, site, { userId: 1 }, [post]);
    site.faults = () => undefined;
    await showsIn(second, post, { count: 2, mine: true, pending: false });
    assert.deepEqual(await held(service, post, 1), { count: 2, mine: true });
    const keys = new Set(site.writes().map(({ key }) => key));
    assert.equal(keys.size, 1, 'the same wish');
  });

  test('the storm of the demo: 24 of 24 right, and both phones show what is counted', async (t) => {
    const context = await browser().newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    await page.goto(`${service.url}/demo`);
    const button = (name) => document.querySelector(`[data-do=${name}]`);
    await page.waitForFunction(() =>
      [...document.querySelectorAll('onetap-bar')].every((bar) => bar.shadowRoot?.querySelector('.reaction')),
    );
    await tapOn(page, button, 'twice');
    await page.waitForFunction(
      () => document.querySelector('[data-score=onetap] .verdict').textContent === '✔ 24 of 24 right',
      undefined,
      { timeout: 30_000, polling: 100 },
    );
    await page.waitForFunction(
      () =>
        [...document.querySelectorAll('[data-side=onetap] onetap-bar')].every((bar) => {
          const counts = [...bar.shadowRoot.querySelectorAll('.count')].map((count) => count.textContent);
          return String(counts.filter(Boolean)) === '2,2,2,2';
        }),
      undefined,
      { timeout: 5_000, polling: 20 },
    );
  });
}

describe('in each engine', { concurrency: true }, () => {
  for (const [name, startEngine] of Object.entries(ENGINES)) {
    describe(name, { concurrency: 1 }, () => {
      let engine;
      before(async () => (engine = await startEngine()));
      after(() => engine?.close());
      promises(() => engine);
    });
  }
});
