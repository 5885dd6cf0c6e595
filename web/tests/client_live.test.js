// Live in a real browser, over the service's own stream: other people's taps, other tabs, and what
// breaks meanwhile.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { openClient, showsIn, shownIn, startBrowser } from './support/browser.js';
import { held, newPost, other } from './support/posts.js';
import { startRedis, startService, until } from './support/service.js';
import { startSite } from './support/site.js';

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.close());

async function place(t, service) {
  const site = await startSite({ service });
  t.after(() => site.stop());
  site.live = () => site.streams().filter(({ closed }) => !closed);
  return site;
}

async function visitor(t) {
  const context = await browser.newContext();
  t.after(() => context.close());
  return context;
}

const tap = (page, post) => page.evaluate((post) => client.tap(post, 'like'), post);
const settled = (page) => page.evaluate(() => client.settled());

describe('over a service that stays', () => {
  let service;
  before(async () => (service = await startService()));
  after(() => service.stop());

  test("two users see each other's taps", async (t) => {
    const site = await place(t, service);
    const post = newPost();
    const [anna, ben] = await Promise.all(
      [1, 2].map(async (userId) => openClient(await visitor(t), site, { userId }, [post])),
    );
    await Promise.all([anna, ben].map((page) => showsIn(page, post, { count: 0 })));
    await tap(anna, post);
    await showsIn(ben, post, { count: 1, mine: false });
    await tap(ben, post);
    await showsIn(anna, post, { count: 2, mine: true, pending: false });
    await anna.waitForTimeout(450);
    await tap(anna, post);
    await showsIn(ben, post, { count: 1, mine: true, pending: false });
    assert.deepEqual(
      [await anna.evaluate(() => errors), await ben.evaluate(() => errors)],
      [[], []],
    );
  });

  test('a hidden page has no stream; shown again it has caught up, with the own taps from elsewhere', async (t) => {
    const site = await place(t, service);
    const post = newPost();
    const page = await openClient(await visitor(t), site, { userId: 1 }, [post]);
    await showsIn(page, post, { count: 0 });
    await until('it streams', () => site.live().length === 1);
    const turn = (state) =>
      page.evaluate((state) => {
        Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      }, state);
    await turn('hidden');
    await until('no stream is open', () => site.live().length === 0);
    await other(service, post, 1);
    await other(service, post, 2);
    await page.waitForTimeout(300);
    assert.equal((await shownIn(page, post)).count, 0);
    await turn('visible');
    await showsIn(page, post, { count: 2, mine: true });
    await until('it streams again', () => site.live().length === 1);
  });

  test('tabs share one stream, and each sees what the other does; the stream moves when its tab closes', async (t) => {
    const site = await place(t, service);
    const [post, only] = [newPost(), newPost()];
    const context = await visitor(t);
    const first = await openClient(context, site, { userId: 1 }, [post]);
    await until('the first streams', () => site.live().length === 1);
    const second = await openClient(context, site, { userId: 1 }, [post, only]);
    await showsIn(second, post, { count: 0 });
    await until('the stream has the posts of both', () =>
      site.live().some(({ path }) => path.includes(only)),
    );
    await until('there is one', () => site.live().length === 1);
    await other(service, only, 5);
    await showsIn(second, only, { count: 1 });
    await tap(first, post);
    await showsIn(second, post, { count: 1, mine: true });
    await second.waitForTimeout(100);
    await tap(second, post);
    await showsIn(first, post, { count: 0, mine: false });
    assert.equal(site.live().length, 1);
    await first.close();
    await other(service, post, 6);
    await showsIn(second, post, { count: 1 });
    await until('the second streams', () => site.live().length === 1);
    await other(service, only, 7);
    await showsIn(second, only, { count: 2 });
  });

  test('where the browser has no locks, each tab has a stream of its own', async (t) => {
    const site = await place(t, service);
    const post = newPost();
    const context = await visitor(t);
    await context.addInitScript(() =>
      Object.defineProperty(Navigator.prototype, 'locks', { value: undefined }),
    );
    const pages = [
      await openClient(context, site, { userId: 1 }, [post]),
      await openClient(context, site, { userId: 2 }, [post]),
    ];
    await until('both stream', () => site.live().length === 2);
    await tap(pages[0], post);
    await showsIn(pages[1], post, { count: 1, mine: false });
  });

  test('a double tap on a slow network with the stream open never flickers', async (t) => {
    const site = await place(t, service);
    const post = newPost();
    const page = await openClient(await visitor(t), site, { userId: 1 }, [post]);
    await showsIn(page, post, { count: 0 });
    site.faults = ({ method }) => (method === 'PUT' ? { hold: 100, late: 400 } : undefined);
    await page.evaluate(() => (states.length = 0));
    await page.evaluate(async (post) => {
      const at = performance.now();
      client.tap(post, 'like', at);
      await new Promise((resolve) => setTimeout(resolve, 120));
      client.tap(post, 'like', at + 120);
    }, post);
    await settled(page);
    await page.waitForTimeout(300);
    const shown = await page.evaluate(() =>
      states.map(({ reactions: [{ count, mine, pending }] }) => [count, mine, pending]),
    );
    assert.deepEqual(shown, [
      [1, true, true],
      [1, true, false],
    ]);
  });
});

test('Redis restarts while pages watch and tap: what was tapped is counted, and live goes on', async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const service = await startService({ store: redis.url });
  t.after(() => service.stop());
  const site = await place(t, service);
  const post = newPost();
  const [anna, ben] = await Promise.all(
    [1, 2].map(async (userId) => openClient(await visitor(t), site, { userId }, [post])),
  );
  await tap(anna, post);
  await showsIn(ben, post, { count: 1, mine: false });
  await redis.kill();
  await tap(ben, post);
  await until('the service says that it cannot', () =>
    ben.evaluate(() => errors.some((e) => e.code === 'store_unavailable' && !e.dropped)),
  );
  assert.deepEqual(await shownIn(ben, post), { count: 2, mine: true, pending: true });
  await redis.start();
  await settled(ben);
  await showsIn(ben, post, { count: 2, mine: true, pending: false });
  await showsIn(anna, post, { count: 2, mine: true, pending: false });
  assert.deepEqual(await held(service, post, 2), { count: 2, mine: true });
});

test('the service restarts: streams come back by themselves', async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  let service = await startService({ store: redis.url });
  t.after(() => service.stop());
  const site = await place(t, service);
  const post = newPost();
  const page = await openClient(await visitor(t), site, { userId: 1 }, [post]);
  await showsIn(page, post, { count: 0 });
  await until('it streams', () => site.live().length === 1);
  const listen = service.address;
  await service.stop();
  await tap(page, post);
  service = await startService({ store: redis.url, listen });
  await settled(page);
  await other(service, post, 2);
  await showsIn(page, post, { count: 2, mine: true, pending: false });
});
