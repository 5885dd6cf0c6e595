// The client in a real browser, on the page's own origin and across origins: what the user meant
// is what is counted.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { openClient, showsIn, shownIn, startBrowser } from './support/browser.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.close());

const tap = (page, post, reaction = 'like') =>
  page.evaluate(([post, reaction]) => client.tap(post, reaction), [post, reaction]);
const settled = (page) => page.evaluate(() => client.settled());

for (const crossOrigin of [false, true]) {
  describe(crossOrigin ? 'across origins' : 'on the same origin', () => {
    let api, site, service, context, page, post, writes;
    before(async () => {
      site = await startSite();
      service = await startService({ args: crossOrigin ? ['--cors-origin', site.url] : [] });
      site.service = service;
      api = crossOrigin ? await startSite({ service }) : site;
    });
    after(() => Promise.all([api.stop(), site.stop(), service.stop()]));

    /** A page with a client of user 1 that watches a fresh post. */
    async function open(t, options = {}) {
      context = await browser.newContext();
      t.after(() => context.close());
      api.faults = () => undefined;
      post = newPost();
      page = await openClient(
        context,
        site,
        { userId: 1, live: false, baseUrl: crossOrigin ? api.url : '', ...options },
        [post],
      );
      await showsIn(page, post, {});
      writes = () =>
        api
          .writes()
          .filter(({ path }) => path.includes(post))
          .map(({ method }) => method);
    }
    const counted = () => held(service, post, 1);

    test('a tap is shown at once, sent, and confirmed', async (t) => {
      await open(t);
      await other(service, post, 2);
      await page.evaluate((post) => client.watch(post), post);
      await showsIn(page, post, { count: 1 });
      const atOnce = await page.evaluate(
        (post) => (client.tap(post, 'like'), client.state(post)),
        post,
      );
      assert.deepEqual(atOnce.reactions, [
        { reaction: 'like', count: 2, mine: true, pending: true, recent: [] },
      ]);
      await settled(page);
      assert.deepEqual(await shownIn(page, post), { count: 2, mine: true, pending: false });
      assert.deepEqual(await counted(), { count: 2, mine: true });
    });

    test('a double tap is one wish', async (t) => {
      await open(t);
      await page.evaluate(async (post) => {
        const at = performance.now();
        client.tap(post, 'like', at);
        await new Promise((resolve) => setTimeout(resolve, 150));
        client.tap(post, 'like', at + 150);
      }, post);
      await settled(page);
      assert.deepEqual(await counted(), { count: 1, mine: true });
      assert.deepEqual(writes(), ['PUT']);
    });

    test('a triple tap is one wish', async (t) => {
      await open(t);
      await page.evaluate(async (post) => {
        const at = performance.now();
        for (let i = 0; i < 3; i += 1) {
          client.tap(post, 'like', at + i * 90);
          await new Promise((resolve) => setTimeout(resolve, 90));
        }
      }, post);
      await settled(page);
      assert.deepEqual(await counted(), { count: 1, mine: true });
      assert.deepEqual(writes(), ['PUT']);
    });

    test('tap, wait, tap is on and off', async (t) => {
      await open(t);
      await page.evaluate(async (post) => {
        client.tap(post, 'like');
        await new Promise((resolve) => setTimeout(resolve, 450));
        client.tap(post, 'like');
      }, post);
      await settled(page);
      assert.deepEqual(await counted(), { count: 0, mine: false });
      assert.deepEqual(writes(), ['PUT', 'DELETE']);
    });

    test('the last wish wins: one write in flight, what lies between is not sent', async (t) => {
      await open(t);
      let release;
      const gate = new Promise((resolve) => (release = resolve));
      api.faults = ({ method }) =>
        method === 'PUT' || method === 'DELETE' ? { hold: gate } : undefined;
      await page.evaluate(
        (post) => [true, false, true, false].forEach((on) => client.wish(post, 'like', on)),
        post,
      );
      assert.deepEqual(await shownIn(page, post), { count: 0, mine: false, pending: true });
      await until('the first write is on its way', () => writes().length === 1);
      release();
      await settled(page);
      assert.deepEqual(writes(), ['PUT', 'DELETE']);
      assert.deepEqual(await counted(), { count: 0, mine: false });
    });

    test('a tap while offline is counted once online', async (t) => {
      await open(t);
      await context.setOffline(true);
      await tap(page, post);
      await until('the failure is told', () =>
        page.evaluate(() => errors.some((e) => e.code === 'network_error' && !e.dropped)),
      );
      assert.deepEqual(await shownIn(page, post), { count: 1, mine: true, pending: true });
      assert.deepEqual(await counted(), { count: 0, mine: false });
      await context.setOffline(false);
      await settled(page);
      assert.deepEqual(await shownIn(page, post), { count: 1, mine: true, pending: false });
      assert.deepEqual(await counted(), { count: 1, mine: true });
    });

    test('a tap, then the tab is closed: counted', async (t) => {
      await open(t);
      api.faults = ({ method }) => (method === 'OPTIONS' ? undefined : { hold: 100 });
      await tap(page, post);
      await page.close();
      await until('the tap is counted', async () => (await counted()).mine);
    });

    test('a tap whose first attempt was refused, then the tab goes elsewhere: counted', async (t) => {
      await open(t);
      let refused = 0;
      api.faults = ({ method }) =>
        method === 'PUT' && !refused++
          ? { answer: { status: 503, headers: { 'Retry-After': '5' } } }
          : undefined;
      await tap(page, post);
      await until('the first attempt is refused', () => page.evaluate(() => errors.length));
      await page.goto('about:blank');
      await until('the tap is counted', async () => (await counted()).mine);
      assert.equal(
        new Set(
          api
            .writes()
            .slice(-2)
            .map(({ key }) => key),
        ).size,
        1,
        'the same key',
      );
    });

    test('a wish that waits for another, then the tab goes elsewhere: sent at once, after it', async (t) => {
      await open(t);
      api.faults = ({ method }) => (method === 'PUT' ? { late: 2000 } : undefined);
      await page.evaluate(
        (post) => (client.wish(post, 'like', true), client.wish(post, 'like', false)),
        post,
      );
      await until(
        'the first is on its way',
        () => writes().length === 1 && api.writes().at(-1).status,
      );
      await page.goto('about:blank');
      await until('the second is counted', async () => !(await counted()).mine);
      assert.deepEqual(writes(), ['PUT', 'DELETE']);
    });

    test('no page had an error of its own', () => assert.deepEqual(page.problems, []));
  });
}
