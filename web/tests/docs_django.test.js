// The Django views of docs/frontend.md: counts from the server, taps checked against the session.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { barOf, buttonOf, openForum, reads } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { startForum } from './support/forum.js';
import { held, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

const POST = '6f6e6574-6170-8000-8000-000000000029'; // 41
const SECOND = '6f6e6574-6170-8000-8000-00000000002a'; // 42

let service, forum;
before(async () => {
  service = await startService();
  forum = await startForum(service);
});
after(() => Promise.all([service.stop(), forum.stop()]));

const ask = (path, { user, url = forum.url, ...options } = {}) =>
  fetch(url + path, { redirect: 'manual', ...options, headers: { ...(user ? forum.cookie(user) : {}), ...options.headers } });

/** What onetap.js sends to the forum's address. */
const tap = (method, post, user, { as = user, reaction = 'like', ...options } = {}) =>
  ask(`/v1/posts/${post}/reactions/${encodeURIComponent(reaction)}/users/${user}`, { method, user: as, ...options });

test('rendered on the server, hydrated in the browser', async (t) => {
  for (const user of [1, 2, 7]) await other(service, POST, user);
  await other(service, POST, 1, true, 'love');
  const [browser, site] = await Promise.all([startBrowser(), startSite({ service })]);
  t.after(() => Promise.all([browser.close(), site.stop()]));
  const body = await (await ask('/thread/1', { user: 7 })).text();

  // The service is not asked for anything until what the server said is shown.
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  site.faults = () => ({ hold: gate });
  const page = await openForum(await browser.newContext(), site, body.replace(/<script.*?<\/script>/, ''), { script: null });
  const boxes = (selector) => page.locator(selector).evaluateAll((all) => all.map((element) => JSON.stringify(element.getBoundingClientRect())));
  const before = await boxes('onetap-bar > form > button');
  assert.equal(before.length, 3);
  // The element's script is not there yet, so the test does not count what has moved so far. The browser
  // reports a move after the next frame.
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100))));
  await page.evaluate(() => (globalThis.shift = 0));
  await page.addScriptTag({ type: 'module', url: '/onetap-bar.js' });
  await reads(page, ['Like, 3 *', 'Love, 1'], 0);
  await reads(page, ['Like'], 1);
  assert.deepEqual(await boxes('onetap-bar .reaction'), before);
  assert.equal(await page.evaluate(() => shift), 0);
  release();
  await buttonOf(barOf(page, 1), 'Like').click();
  await until('it is counted', async () => (await held(service, SECOND, 7)).mine);
});

test('a tap counts for the user of the session, whoever else it names', async () => {
  const reaction = '👍';
  const answer = await tap('PUT', POST, 7, { reaction });
  assert.equal(answer.status, 201);
  assert.match(answer.headers.get('content-type'), /^application\/json/);
  const { active, count, user_id } = await answer.json();
  assert.deepEqual([active, count, user_id], [true, 1, '7']);

  for (const [user, as] of [[8, 7], [7, null], [7, 8]]) {
    const refused = await tap('DELETE', POST, user, { as, reaction });
    assert.deepEqual([refused.status, (await refused.json()).code], [403, 'forbidden']);
  }
  assert.deepEqual(await held(service, POST, 7, reaction), { count: 1, mine: true });
  assert.equal((await tap('DELETE', POST, 7, { reaction })).status, 200);
  assert.deepEqual(await held(service, POST, 7, reaction), { count: 0, mine: false });
});

test('a tap that is sent again with its key is answered as the first time', async () => {
  const headers = { 'Idempotency-Key': 'one-wish' };
  const first = await (await tap('PUT', POST, 8, { headers, reaction: 'laugh' })).text();
  const again = await tap('PUT', POST, 8, { headers, reaction: 'laugh' });
  assert.deepEqual([again.status, again.headers.get('idempotency-replayed'), await again.text()], [201, 'true', first]);
});

test('what onetap refuses is passed on, and only posts of the forum have reactions', async () => {
  const refused = await tap('PUT', POST, 7, { reaction: 'No such name' });
  assert.equal(refused.headers.get('content-type'), 'application/problem+json');
  assert.deepEqual([refused.status, (await refused.json()).code], [400, 'invalid_reaction']);
  const foreign = await tap('PUT', '0192f0c1-2345-7890-abcd-ef0123456789', 7);
  assert.deepEqual([foreign.status, (await foreign.json()).code], [404, 'not_found']);
  const missing = '6f6e6574-6170-8000-8000-00000000002b';
  const absent = await tap('PUT', missing, 7);
  assert.deepEqual([absent.status, (await absent.json()).code], [404, 'not_found']);
  assert.deepEqual(await held(service, missing, 7), { count: 0, mine: false });
  assert.equal((await tap('POST', POST, 7)).status, 405);
});

test('guests see the counts, and cannot tap', async () => {
  await other(service, POST, 1);
  const body = await (await ask('/thread/1')).text();
  assert.match(body, /readonly/);
  assert.doesNotMatch(body, /user-id|"mine"|&quot;mine&quot;/);
  assert.match(body, /value="like" aria-pressed="false"\s+aria-label="like, [1-9]/);
  const { status, headers } = await ask('/react/41', { ...(await formOf(body)) });
  assert.deepEqual([status, headers.get('location')], [302, '/login']);
});

test('a thread without posts is shown', async () => {
  const { status } = await ask('/thread/2', { user: 7 });
  assert.equal(status, 200);
});

/** Sends the first form of a page as a browser without scripts does, with its CSRF token. */
async function formOf(body, fields = {}) {
  const token = /name="csrfmiddlewaretoken" value="(\w+)"/.exec(body)[1];
  const form = new URLSearchParams({ csrfmiddlewaretoken: token, reaction: 'like', ...fields });
  // Django takes a token that belongs to the cookie; a masked token is its own cookie.
  return { method: 'POST', body: form, headers: { Cookie: `csrftoken=${token}` } };
}

test('without a script: what was seen pressed goes off, however often it is sent; what was not goes on', async (t) => {
  const browser = await startBrowser();
  t.after(() => browser.close());
  await other(service, POST, 7);
  await other(service, POST, 7, false, 'love');
  await other(service, POST, 2, true, 'love');
  const context = await browser.newContext({ javaScriptEnabled: false });
  await context.addCookies([{ name: 'sessionid', value: forum.session(7), url: forum.url }]);
  const [page, stale] = [await context.newPage(), await context.newPage()];
  for (const each of [page, stale]) await each.goto(`${forum.url}/thread/1`);
  const press = (page, reaction) => Promise.all([page.waitForNavigation(), page.locator(`article:first-of-type button[value=${reaction}]`).click()]);
  await press(page, 'like');
  assert.equal(page.url(), `${forum.url}/thread/1`);
  assert.equal((await held(service, POST, 7)).mine, false);
  await press(stale, 'like');
  assert.equal((await held(service, POST, 7)).mine, false, 'off was meant, on a page that still showed it pressed');
  await press(page, 'love');
  assert.equal((await held(service, POST, 7, 'love')).mine, true);
  assert.equal(await page.locator('article:first-of-type button[value=love]').getAttribute('aria-pressed'), 'true');
});

test('a service that is away: the thread is read, a tap is of unknown outcome, a form says so', async (t) => {
  const away = await startService();
  const lonely = await startForum(away);
  t.after(() => lonely.stop());
  await away.stop();
  const as7 = { url: lonely.url, headers: lonely.cookie(7) };
  const thread = await ask('/thread/1', as7);
  const body = await thread.text();
  assert.equal(thread.status, 200);
  assert.match(body, /The first post\./);
  assert.match(body, /value="like" aria-pressed="false"\s+aria-label="like, 0"/);
  assert.doesNotMatch(body, /summary=/);
  const tapped = await ask(`/v1/posts/${POST}/reactions/like/users/7`, { ...as7, method: 'PUT' });
  assert.deepEqual([tapped.status, tapped.headers.get('retry-after'), (await tapped.json()).code], [504, '1', 'outcome_unknown']);
  const { headers, ...form } = await formOf(body);
  const sent = await ask('/react/41', { ...form, url: lonely.url, headers: { Cookie: `${as7.headers.Cookie}; ${headers.Cookie}` } });
  assert.equal(sent.status, 503);
  assert.match(await sent.text(), /could not be saved/);
});
