// What becomes of wishes without an answer when their page closes, in a real browser.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { crash, openClient, showsIn, shownIn, startBrowser } from './support/browser.js';
import { kept, place, refused, setOffline, told, wish } from './support/outbox.js';
import { held, other } from './support/posts.js';
import { freePort, startService, until } from './support/service.js';

let browser, service, folder, start;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onetap-outbox-'));
  const listen = `127.0.0.1:${await freePort()}`;
  start = () => startService({ store: `file:${join(folder, 'taps.redb')}`, listen });
  [browser, service] = await Promise.all([startBrowser(), start()]);
});
after(async () => {
  await Promise.all([browser.close(), service.stop()]);
  await rm(folder, { recursive: true });
});

for (const [how, leave] of Object.entries({
  'is reloaded': (page) => page.reload(),
  'is closed': (page) => page.close(),
  'goes elsewhere': (page) => page.goto('about:blank'),
  crashes: crash,
})) {
  test(`a tap while the service is away, and its tab ${how}: counted once a page is open`, async (t) => {
    const { post, open } = await place(t, browser, service);
    const first = await open();
    await showsIn(first, post, {});
    await service.stop();
    await wish(first, post, true);
    await refused(first);
    await leave(first);
    const second = await open();
    await until('it is in storage', async () => (await kept(second)).length === 1);
    service = await start();
    await showsIn(second, post, { count: 1, mine: true, pending: false });
    assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
    assert.deepEqual(await kept(second), []);
    assert.deepEqual(second.problems, []);
  });
}

test('it is shown as waiting, on top of what the service counts', async (t) => {
  const { site, post, open, cut, mend } = await place(t, browser, service);
  const first = await open();
  await showsIn(first, post, {});
  cut();
  await wish(first, post, true);
  await first.close();
  await other(service, post, 2);
  mend();
  site.faults = ({ method }) => (method === 'PUT' ? { drop: 'before' } : undefined);
  const second = await open();
  await showsIn(second, post, { count: 2, mine: true, pending: true });
  assert.ok(
    await second.evaluate(() => states.every(({ total }) => total === 2)),
    'no count without what the others have',
  );
  mend();
  await showsIn(second, post, { count: 2, mine: true, pending: false });
});

test('it is shown as waiting, too, while the service cannot be asked, and a tap takes it back', async (t) => {
  const { post, open, cut, mend } = await place(t, browser, service);
  const first = await open();
  await showsIn(first, post, {});
  cut();
  await wish(first, post, true);
  await first.close();
  const second = await open();
  await showsIn(second, post, { count: 1, mine: true, pending: true });
  await second.evaluate((post) => client.tap(post, 'like'), post);
  await showsIn(second, post, { count: 0, mine: false, pending: true });
  mend();
  await second.evaluate(() => client.settled());
  assert.deepEqual(await held(service, post, 1), { count: 0, mine: false });
  assert.deepEqual(await kept(second), []);
});

test('half a character is no reaction: it is refused, and the others are sent', async (t) => {
  const { post, open } = await place(t, browser, service);
  const page = await open();
  await showsIn(page, post, {});
  await wish(page, post, true, '\ud83d');
  await wish(page, post, true);
  await page.evaluate(() => client.settled());
  assert.deepEqual(await told(page), ['invalid_reaction']);
  assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
});

test('one that had arrived is not counted a second time', async (t) => {
  const { post, open, cut, mend, keys } = await place(t, browser, service);
  const first = await open();
  await showsIn(first, post, {});
  cut('after');
  await wish(first, post, true);
  await until('it has arrived', async () => (await held(service, post, 1)).mine);
  await first.close();
  // Another device takes it back.
  await other(service, post, 1, false);
  mend();
  const second = await open();
  await showsIn(second, post, { count: 0, mine: false, pending: false });
  await until('it is answered', async () => !(await kept(second)).length);
  assert.equal(keys(), 1);
  assert.deepEqual(await held(service, post, 1), { count: 0, mine: false });
});

test('two wishes for one reaction keep their order, whatever still lies in the network', async (t) => {
  const { site, post, open, mend, methods } = await place(t, browser, service);
  let release;
  const late = new Promise((resolve) => (release = resolve));
  site.faults = ({ method }) => (method === 'GET' ? undefined : { hold: late });
  const first = await open();
  await wish(first, post, true);
  await until('the first is on its way', () => methods().length === 1);
  await wish(first, post, false);
  await first.close();
  await until('the newer was sent past it', () => methods().length === 2);
  const buffered = site.writes();
  mend();
  const second = await open();
  await until('all are answered', async () => !(await kept(second)).length);
  const repeated = site.writes().slice(2);
  assert.deepEqual(
    repeated.slice(0, 2).map(({ key }) => key),
    buffered.map(({ key }) => key),
  );
  assert.ok(repeated.slice(1).every(({ method }) => method === 'DELETE'));
  assert.deepEqual(await held(service, post, 1), { count: 0, mine: false });
  // Late copies undo no newer wish.
  await wish(second, post, true);
  await second.evaluate(() => client.settled());
  release();
  await until('the late ones have been answered', () => buffered.every(({ status }) => status));
  assert.deepEqual(
    buffered.map(({ replayed }) => replayed),
    ['true', 'true'],
  );
  assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
});

test('one whose key may be gone is dropped, told, and the state read again', async (t) => {
  const { site, post, open, cut, mend, methods } = await place(t, browser, service);
  const options = { retentionMs: 2_000, timeoutMs: 500 };
  const first = await open(options);
  await showsIn(first, post, {});
  cut();
  await wish(first, post, true);
  await first.close();
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  mend();
  site.requests.length = 0;
  // On a busy machine an answer may take longer than half a second.
  const second = await open({ ...options, timeoutMs: 1_000 });
  await until('the client tells the page of the error', async () => (await told(second)).length);
  assert.deepEqual(await told(second), ['wish_expired']);
  const [error] = await second.evaluate(() => errors);
  assert.deepEqual([error.postId, error.reaction, error.dropped], [post, 'like', true]);
  await showsIn(second, post, { count: 0, mine: false, pending: false });
  assert.deepEqual([methods(), await kept(second)], [[], []]);
});

test('it is nobody else’s: another user who signs in meanwhile sends and sees nothing of it', async (t) => {
  const { site, post, open, cut, mend, methods } = await place(t, browser, service);
  const first = await open();
  await showsIn(first, post, {});
  cut();
  await wish(first, post, true);
  await refused(first);
  await crash(first);
  mend();
  site.requests.length = 0;
  // Another user whose number begins with the first one's gets nothing either.
  for (const userId of [2, 11]) {
    const page = await open({ userId });
    await showsIn(page, post, { count: 0, mine: false, pending: false });
    assert.equal((await kept(page)).length, 1);
    await page.close();
  }
  const guest = await open({ userId: undefined });
  await showsIn(guest, post, { count: 0 });
  await guest.close();
  assert.deepEqual(methods(), []);
  const again = await open();
  await showsIn(again, post, { count: 1, mine: true, pending: false });
  assert.deepEqual(await held(service, post, 2), { count: 1, mine: false });
});

test('with a token it is kept only under a name that the page gives', async (t) => {
  const { context, site, post } = await place(t, browser, service);
  // The service takes no tokens yet, so this stub decides who `me` is.
  const users = { anna: 1, ben: 2 };
  const open = async (name, outbox) => {
    const page = await openClient(context, site, { userId: 9, live: false }, []);
    await page.evaluate(
      ([post, name, outbox]) => {
        client.close();
        globalThis.client = new Onetap({ token: () => name, outbox, live: false });
        client.addEventListener('onetap-error', ({ detail }) => errors.push(detail));
        client.watch(post);
      },
      [post, name, outbox],
    );
    return page;
  };
  let down = true;
  const writes = [];
  site.faults = (request) => {
    if (request.method === 'GET') return undefined;
    const user = users[request.headers.authorization?.slice(7)];
    if (!down) writes.push(user);
    const body = JSON.stringify({ active: true, count: 1, revision: 1 });
    return down ? { drop: 'before' } : { answer: { status: 200, body } };
  };
  const unnamed = await open('anna');
  await wish(unnamed, post, true);
  assert.deepEqual(await kept(unnamed), []);
  await crash(unnamed);
  const anna = await open('anna', 'anna, 1');
  await wish(anna, post, true);
  assert.equal((await kept(anna)).length, 1);
  // Before that, Chromium may send it again by itself.
  await refused(anna);
  await crash(anna);
  down = false;
  const ben = await open('ben', 'ben');
  await until('the page is read', () => ben.evaluate((post) => !!client.state(post), post));
  assert.deepEqual([writes, (await kept(ben)).length], [[], 1]);
  const back = await open('anna', 'anna, 1');
  await until('it is answered', async () => !(await kept(back)).length);
  assert.deepEqual(writes, [1]);
});

test('two tabs that wake at once with one outbox send one wish, under one key', async (t) => {
  const { site, post, open, cut, mend, keys } = await place(t, browser, service);
  const tabs = await Promise.all([open(), open()]);
  for (const tab of tabs) await showsIn(tab, post, {});
  cut();
  const first = await open();
  await wish(first, post, true);
  await refused(first);
  await crash(first);
  await other(service, post, 2);
  mend();
  site.requests.length = 0;
  await Promise.all(tabs.map((tab) => tab.evaluate(() => dispatchEvent(new Event('online')))));
  for (const tab of tabs) await showsIn(tab, post, { count: 2, mine: true, pending: false });
  await until('nothing is left', async () => !(await kept(tabs[0])).length);
  assert.equal(keys(), 1);
  assert.deepEqual(await Promise.all(tabs.map(told)), [[], []]);
});

test('a tab that stays takes over what one that goes leaves behind', async (t) => {
  const { post, open, cut, mend } = await place(t, browser, service);
  const stays = await open();
  const goes = await open();
  await showsIn(stays, post, {});
  cut();
  await wish(goes, post, true);
  await refused(goes);
  await crash(goes);
  mend();
  await showsIn(stays, post, { count: 1, mine: true, pending: false }, 'like', 15_000);
});

test('a wish in another tab goes behind the older one of the first, and stands', async (t) => {
  const { site, post, open, methods } = await place(t, browser, service);
  await other(service, post, 2);
  let release;
  const late = new Promise((resolve) => (release = resolve));
  const [one, two] = await Promise.all([open(), open()]);
  for (const tab of [one, two]) await showsIn(tab, post, { count: 1 });
  let n = 0;
  site.faults = ({ method }) => (method === 'PUT' && !n++ ? { hold: late } : undefined);
  await wish(one, post, true);
  await until('it is on its way', () => methods().length === 1);
  // Browsers bring what one tab stores to the others' processes a moment later.
  await until('the other tab finds it', async () => (await kept(two)).length === 1);
  // This tab shows the reaction as off, so it wishes on and off.
  await two.evaluate((post) => {
    client.wish(post, 'like', true);
    client.wish(post, 'like', false);
    return client.settled();
  }, post);
  assert.deepEqual(await held(service, post, 1), { count: 1, mine: false });
  release();
  await until('the first tab knows', async () => !(await shownIn(one, post)).pending);
  assert.deepEqual(await held(service, post, 1), { count: 1, mine: false });
  await showsIn(one, post, { count: 1, mine: false, pending: false });
  assert.deepEqual(await kept(one), []);
});

test('a wish that another tab has taken over is answered before a newer one goes', async (t) => {
  const { site, context, post, open, cut, methods } = await place(t, browser, service);
  const one = await open();
  await showsIn(one, post, {});
  cut();
  await wish(one, post, true);
  await wish(one, post, false);
  await setOffline(context, one, true);
  let release;
  const late = new Promise((resolve) => (release = resolve));
  let n = 0;
  site.faults = ({ method }) => (method === 'DELETE' && !n++ ? { hold: late } : undefined);
  site.requests.length = 0;
  const two = await open();
  await until('the other tab has sent both', () => methods().includes('DELETE'));
  // This tab never sent the wish. Without the other tab it could leave it out.
  await wish(one, post, true);
  await setOffline(context, one, false);
  await one.evaluate(() => client.settled());
  release();
  await two.evaluate(() => client.settled());
  assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
  for (const page of [one, two]) await showsIn(page, post, { count: 1, mine: true, pending: false });
});

test('what another tab has brought to the service meanwhile is not told as lost', async (t) => {
  const { site, context, post, open, cut, mend } = await place(t, browser, service);
  const first = await open();
  await showsIn(first, post, {});
  cut();
  await wish(first, post, true);
  const second = await open({ retentionMs: 3_000, timeoutMs: 500 });
  await refused(second);
  await setOffline(context, second, true);
  mend();
  // The first tab sends its wish now. If it waited longer, the second one might give the wish up.
  await first.evaluate(() => (dispatchEvent(new Event('online')), client.settled()));
  await second.evaluate(() => client.settled());
  assert.ok(!(await told(second)).includes('wish_expired'));
  await setOffline(context, second, false);
  await showsIn(second, post, { count: 1, mine: true, pending: false });
  assert.equal(new Set(site.writes().map(({ key }) => key)).size, 1);
});
