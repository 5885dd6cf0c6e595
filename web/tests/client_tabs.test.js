// Tabs of one origin in a real browser: which tab streams for which, and what becomes of it when a tab
// goes. What they show each other: client_live.test.js.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openClient, showsIn, startBrowser } from './support/browser.js';
import { newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

let browser, service;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startService()]);
});
after(() => Promise.all([browser.close(), service.stop()]));

/** A site, and a browser that has visited nothing else. */
async function place(t) {
  const site = await startSite({ service });
  const context = await browser.newContext();
  t.after(() => Promise.all([context.close(), site.stop()]));
  /** The posts of the streams that are open. */
  site.streamed = () =>
    site
      .streams()
      .filter(({ closed }) => !closed)
      .map(({ path }) => new URLSearchParams(path.split('?')[1]).getAll('post_id').sort());
  const open = (posts, options = {}) => openClient(context, site, { userId: 1, ...options }, posts);
  return { site, context, open };
}

/** Waits until one stream is open, for these posts. */
async function streams(site, posts) {
  const wanted = JSON.stringify([[...posts].sort()]);
  await until(
    `one stream for ${posts.length} posts`,
    () => JSON.stringify(site.streamed()) === wanted,
  );
}

test('a tab whose stream is refused gives up the lead, and is told by the one that has it', async (t) => {
  const { site, open } = await place(t);
  const [post, only] = [newPost(), newPost()];
  site.faults = ({ path, headers }) =>
    path.includes('/stream') && headers.authorization === 'Bearer bad'
      ? { answer: { status: 403, body: '{"code":"forbidden"}' } }
      : undefined;
  const refused = await open([post], { userId: undefined });
  await refused.evaluate(async (post) => {
    client.close();
    globalThis.client = new Onetap({ token: () => 'bad' });
    client.watch(post);
  }, post);
  await until('it is refused', () => site.streams().some(({ headers }) => headers.authorization));
  const welcome = await open([only]);
  await streams(site, [post, only]);
  await other(service, post, 5);
  await showsIn(refused, post, { count: 1 });
  assert.equal(
    site.streams().filter(({ headers }) => headers.authorization).length,
    1,
    'it did not ask again',
  );
  await other(service, only, 5);
  await showsIn(welcome, only, { count: 1 });
});

for (const [how, end] of Object.entries({
  closed: (page) => page.close(),
  'left for another page': (page) => page.goto('about:blank'),
  'without its client': (page) => page.evaluate(() => client.close()),
  crashed: async (page) => {
    const session = await page.context().newCDPSession(page);
    session.send('Page.crash').catch(() => {});
    await page.waitForEvent('crash');
  },
})) {
  test(`a tab that is ${how}: the one that streams forgets what it watched`, async (t) => {
    const { site, open } = await place(t);
    const [post, ...others] = Array.from({ length: 4 }, newPost);
    const leader = await open([post]);
    await streams(site, [post]);
    const gone = await open(others);
    await streams(site, [post, ...others]);
    await end(gone);
    await streams(site, [post]);
    await other(service, post, 5);
    await showsIn(leader, post, { count: 1 });
  });
}

test('a tab that is hidden and shown again is heard again', async (t) => {
  const { site, open } = await place(t);
  const [post, ...others] = Array.from({ length: 4 }, newPost);
  await open([post]);
  await streams(site, [post]);
  const second = await open(others);
  const turn = (state) =>
    second.evaluate((state) => {
      Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  for (let i = 0; i < 3; i += 1) {
    await streams(site, [post, ...others]);
    await turn('hidden');
    await streams(site, [post]);
    await turn('visible');
  }
  await streams(site, [post, ...others]);
  await turn('hidden');
  await turn('visible');
  await other(service, others[0], 5);
  await showsIn(second, others[0], { count: 1 });
  await streams(site, [post, ...others]);
});

test('where the browser refuses locks, a tab streams by itself', async (t) => {
  const { site, context, open } = await place(t);
  await context.addInitScript(() => {
    LockManager.prototype.request = () =>
      Promise.reject(new DOMException('not here', 'SecurityError'));
  });
  const post = newPost();
  const pages = [await open([post]), await open([post])];
  await until('both stream', () => site.streamed().length === 2);
  await other(service, post, 5);
  for (const page of pages) await showsIn(page, post, { count: 1 });
});

test('a page with more posts than fit into one stream leaves connections free', async (t) => {
  const { site, open } = await place(t);
  const posts = Array.from({ length: 320 }, newPost);
  const page = await open(posts);
  await until('three streams are open', () => site.streamed().length === 3);
  for (const post of [posts[319], posts[120]]) {
    await page.evaluate((post) => client.tap(post, 'like'), post);
    await page.evaluate(() => client.settled());
    await other(service, post, 5);
    await showsIn(page, post, { count: 2, mine: true });
  }
  // A post that has to wait for its turn.
  await other(service, posts[0], 5);
  await showsIn(page, posts[0], { count: 1 });
});

for (const [what, stop] of Object.entries({
  'shows a dialog': async (page) => {
    const shown = page.waitForEvent('dialog');
    page.evaluate(() => alert(1)).catch(() => {});
    const dialog = await shown;
    return () => dialog.dismiss();
  },
  'stands at a breakpoint': async (page) => {
    const session = await page.context().newCDPSession(page);
    await session.send('Debugger.enable');
    const paused = new Promise((resolve) => session.once('Debugger.paused', resolve));
    page.evaluate('debugger').catch(() => {});
    await paused;
    return () => session.send('Debugger.disable');
  },
  'is busy': async (page) => {
    await page.evaluate(() => {
      globalThis.done = false;
      setTimeout(() => {
        for (const end = Date.now() + 9_000; Date.now() < end; );
        globalThis.done = true;
      });
    });
    return () => page.waitForFunction(() => globalThis.done);
  },
})) {
  test(`the tab that streams ${what}: others do without it within some seconds`, async (t) => {
    const { site, open } = await place(t);
    const post = newPost();
    const leader = await open([post]);
    await streams(site, [post]);
    const followers = [await open([post]), await open([post])];
    await other(service, post, 4);
    for (const page of followers) await showsIn(page, post, { count: 1 });
    const resume = await stop(leader);
    await other(service, post, 5);
    for (const page of followers) await showsIn(page, post, { count: 2 }, 'like', 8_000);
    assert.ok(site.streamed().length <= 2, 'its own, which nobody reads, and one for all others');
    await resume();
    await streams(site, [post]);
    await showsIn(leader, post, { count: 2 });
    await other(service, post, 6);
    for (const page of [leader, ...followers]) await showsIn(page, post, { count: 3 });
    assert.equal(site.streamed().length, 1);
    // And it may lead again.
    for (const page of followers) await page.close();
    await streams(site, [post]);
    await other(service, post, 7);
    await showsIn(leader, post, { count: 4 });
  });
}

test('a tab that runs is left to lead', async (t) => {
  const { site, open } = await place(t);
  const post = newPost();
  await open([post]);
  await streams(site, [post]);
  await open([post]);
  await new Promise((resolve) => setTimeout(resolve, 9_000));
  assert.equal(site.streams().length, 1);
});
