// The age of a wish when a clock is set or stands still. The client repeats a wish only while the
// service certainly still has its key.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { crash, openClient, showsIn, startBrowser } from './support/browser.js';
import { nodeClient } from './support/node_client.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

const HOUR_MS = 3_600_000;
/** The service's keys are kept for 4 s. */
const OPTIONS = { retentionMs: 4_000, timeoutMs: 500 };

let browser, service, site, post;
before(async () => {
  const args = ['--idempotency-retention-seconds', '4'];
  [browser, service] = await Promise.all([startBrowser(), startService({ args })]);
  site = await startSite({ service });
});
after(() => Promise.all([browser.close(), service.stop(), site.stop()]));
beforeEach(() => {
  site.faults = () => undefined;
  site.requests.length = 0;
  post = newPost();
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const isWrite = ({ method }) => method === 'PUT' || method === 'DELETE';
/** The first write arrives or not, its answer gets lost, and then there is no network. */
const lose = (first) => {
  let n = 0;
  site.faults = (request) => ({ drop: isWrite(request) && !n++ ? first : 'before' });
};
/** Sets the device's clock. */
const setClock = (t, ms) => {
  const now = Date.now.bind(Date);
  t.mock.method(Date, 'now', () => now() + ms);
};

for (const watched of [true, false]) {
  const where = watched ? 'that is watched' : 'of which nothing is known';

  test(`the clock is set back, on a post ${where}: what is too old is dropped`, async (t) => {
    const { client, errors, watch } = nodeClient(t, site, OPTIONS);
    if (watched) await watch(post);
    lose('after');
    client.wish(post, 'like', true);
    await until('it has arrived', async () => (await held(service, post, 1)).mine);
    setClock(t, -HOUR_MS);
    // Another device takes it back.
    await other(service, post, 1, false);
    await sleep(5_000);
    site.faults = () => undefined;
    await client.settled();
    assert.ok(errors.some(({ code, dropped }) => code === 'wish_expired' && dropped));
    await sleep(500);
    assert.deepEqual(await held(service, post, 1), { count: 0, mine: false });
  });

  test(`the clock is set forward, on a post ${where}: the tap is sent`, async (t) => {
    const { client, errors, watch } = nodeClient(t, site, { ...OPTIONS, retentionMs: 8_000 });
    if (watched) await watch(post);
    lose('before');
    client.wish(post, 'like', true);
    await until('the first attempt has failed', () => errors.length);
    setClock(t, HOUR_MS);
    await sleep(1_000);
    site.faults = () => undefined;
    await client.settled();
    assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
    assert.ok(errors.every(({ code }) => code !== 'wish_expired'));
  });
}

test('the device sleeps, and the clock of the page with it: what is too old is dropped', async (t) => {
  // No repeat is on its way when the clock jumps.
  t.mock.method(Math, 'random', () => 0.9);
  const { client, errors, watch } = nodeClient(t, site, OPTIONS);
  await watch(post);
  lose('after');
  client.wish(post, 'like', true);
  await until('it has arrived', async () => (await held(service, post, 1)).mine);
  await other(service, post, 1, false);
  // The device sleeps for an hour, by its own clock and by the service's.
  setClock(t, HOUR_MS);
  const body = JSON.stringify({ revision: 1, reactions: [] });
  const answer = { status: 200, headers: { Date: new Date(Date.now()).toUTCString() }, body };
  site.faults = ({ method }) => (method === 'GET' ? { answer } : undefined);
  site.requests.length = 0;
  await client.settled();
  assert.ok(errors.some(({ code, dropped }) => code === 'wish_expired' && dropped));
  assert.deepEqual(site.writes(), []);
});

/** A page whose device's clock is off. */
async function open(context, ms, retentionMs) {
  const page = await openClient(context, site, { userId: 1, live: false, outbox: false }, []);
  await page.evaluate(
    ([ms, options, post]) => {
      client.close();
      const now = Date.now.bind(Date);
      Date.now = () => now() + ms;
      globalThis.client = new Onetap({ userId: 1, live: false, ...options });
      client.addEventListener('onetap-error', ({ detail }) => errors.push(detail));
      client.watch(post);
    },
    // On a busy machine an answer may take longer than half a second.
    [ms, { ...OPTIONS, timeoutMs: 2_000, retentionMs }, post],
  );
  return page;
}

for (const [set, ms] of [
  ['is right', 0],
  ['is set forward', HOUR_MS],
  ['is set back', -HOUR_MS],
]) {
  for (const late of [false, true]) {
    const what = late ? 'too old, is dropped' : 'young, is sent';
    test(`the clock ${set} between two pages, and the wish, ${what}`, async (t) => {
      const context = await browser.newContext();
      t.after(() => context.close());
      // The `Date` header has whole seconds, so it cannot show in which half of 4 s a wish is.
      const retentionMs = late ? 4_000 : 20_000;
      const first = await open(context, 0, retentionMs);
      await showsIn(first, post, {});
      lose('after');
      await first.evaluate((post) => client.wish(post, 'like', true), post);
      await until('it has arrived', async () => (await held(service, post, 1)).mine);
      await crash(first);
      await other(service, post, 1, false);
      if (late) await sleep(5_000);
      site.faults = () => undefined;
      site.requests.length = 0;
      const second = await open(context, ms, retentionMs);
      await second.evaluate(() => client.settled());
      const codes = await second.evaluate(() => errors.map(({ code }) => code));
      assert.deepEqual(codes, late ? ['wish_expired'] : []);
      assert.equal(site.writes().length > 0, !late);
      assert.deepEqual(await held(service, post, 1), { count: 0, mine: false });
    });
  }
}

test('a wish that seems to be of the future, and whose time the service did not tell, is dropped', async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  const first = await open(context, 0, 20_000);
  await first.evaluate(
    ([name, made]) => {
      client.close();
      const wish = { reaction: 'like', active: true, n: 1, made };
      localStorage.setItem(name, JSON.stringify(wish));
    },
    [`onetap-outbox ${site.url}/ 1 ${post} 1-2-3-4`, Date.now() + HOUR_MS],
  );
  const second = await open(context, 0, 20_000);
  await second.evaluate(() => client.settled());
  assert.deepEqual(await second.evaluate(() => errors.map(({ code }) => code)), ['wish_expired']);
  assert.deepEqual(site.writes(), []);
});
