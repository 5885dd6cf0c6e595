// Every snippet of docs/frontend.md does what it says.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { barOf, buttonOf, openForum, read, reads } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

const GUIDE = readFileSync(new URL('../../docs/frontend.md', import.meta.url), 'utf8');
const SNIPPETS = new Map([...GUIDE.matchAll(/^<!-- snippet: (\S+) -->\n```\w+\n(.*?)^```$/gms)].map(([, name, text]) => [name, text]));
const DJANGO = fileURLToPath(new URL('../../target/test-tools/django', import.meta.url));
const POST = '0192f0c1-2345-7890-abcd-ef0123456789';

let browser, service, site, context;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startService()]);
  site = await startSite({ service });
  context = await browser.newContext();
});
after(() => Promise.all([browser.close(), service.stop(), site.stop()]));

/** A snippet; it is counted as tested. */
const used = new Set();
function snippet(name) {
  used.add(name);
  return SNIPPETS.get(name) ?? assert.fail(`no snippet ${name}`);
}

const bar = (post, more = '') => `<onetap-bar post-id="${post}" user-id="42" reactions="like love" ${more}></onetap-bar>`;

test('ten lines put it on a page', async () => {
  assert.ok(snippet('page').trim().split('\n').length <= 11);
  site.faults = ({ path }) => (path.startsWith('/forum/users') ? { answer: { status: 200, headers: { 'Content-Type': 'application/json' }, body: '[{"id": "7", "name": "Anna"}]' } } : undefined);
  await other(service, POST, 7);
  site.pages['/ten'] = `<!doctype html><title>Ten lines</title><link rel="icon" href="data:,">${SNIPPETS.get('page')}`;
  const page = await context.newPage();
  await page.goto(`${site.url}/ten`);
  await reads(page, ['Like, 1']);
  await until('by name', async () => (await barOf(page).locator('.who').textContent()) === 'Anna');
  await buttonOf(barOf(page), 'Like').click();
  await until('it is counted', async () => (await held(service, POST, 42)).mine);
  assert.equal(await barOf(page).locator('.who').textContent(), 'You and Anna');
});

test('the form is sent without a script, and becomes the element with one', async (t) => {
  const bare = await browser.newContext({ javaScriptEnabled: false });
  t.after(() => bare.close());
  const still = await openForum(bare, site, snippet('form'), { script: null });
  const [request] = await Promise.all([still.waitForRequest((request) => request.method() === 'POST'), still.getByRole('button', { name: 'Love, 1' }).click()]);
  assert.equal(request.postData(), 'mine=like&reaction=love');

  site.faults = () => ({ hold: 60_000 });
  t.after(() => (site.faults = () => undefined));
  const page = await openForum(context, site, snippet('form'), { script: null });
  const before = await page.locator('onetap-bar button').first().boundingBox();
  await page.evaluate(() => import('/onetap-bar.js').then(() => {}));
  await reads(page, ['Like, 3 *', 'Love, 1']);
  assert.deepEqual(await barOf(page).locator('.reaction').first().boundingBox(), before);
  assert.equal(await page.evaluate(() => shift), 0);
});

test('the theme themes', async () => {
  const post = newPost();
  await other(service, post, 42);
  await other(service, post, 42, true, 'love');
  const page = await openForum(context, site, bar(post), { head: `<style>${snippet('theme')}</style>` });
  await reads(page, ['Like, 1 *', 'Love, 1 *']);
  const style = (place) => barOf(page).locator('.reaction').nth(place).evaluate((button) => {
    const { color, height, borderRadius, boxShadow, fontWeight } = getComputedStyle(button);
    return { color, height, borderRadius, boxShadow: boxShadow.includes('1px 2px'), fontWeight };
  });
  assert.deepEqual(await style(0), { color: 'rgb(180, 35, 90)', height: '40px', borderRadius: '8px', boxShadow: true, fontWeight: '700' });
});

test('every part that the guide names is there, and no other', async () => {
  const post = newPost();
  for (let user = 1; user <= 30; user += 1) await other(service, post, user);
  await other(service, post, 42);
  const page = await openForum(context, site, bar(post));
  await reads(page, ['Like, 31 *']);
  await barOf(page).locator('.add').click();
  await barOf(page).locator('.option').first().waitFor();
  const parts = () => barOf(page).evaluate((bar) => [...bar.shadowRoot.querySelectorAll('[part]')].flatMap((element) => [...element.part]));
  const found = new Set(await parts());
  await page.keyboard.press('Escape');
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  site.faults = ({ path }) => (path.includes('/users?') ? { hold: gate } : undefined);
  await barOf(page).locator('.who').click();
  await barOf(page).locator('.note').waitFor();
  for (const part of await parts()) found.add(part);
  release();
  await barOf(page).locator('.more').waitFor();
  site.faults = () => undefined;
  for (const part of await parts()) found.add(part);
  const told = GUIDE.slice(GUIDE.indexOf('Parts: ')).split('\n\n')[0].match(/`([^`]+)`/g).map((name) => name.slice(1, -1));
  assert.deepEqual([...found, 'reaction-NAME'].filter((name) => !['spoken', 'reaction-like'].includes(name)).sort(), told.sort());
});

test('words, pictures and labels are the page\'s', async () => {
  const post = newPost();
  await other(service, post, 42);
  await other(service, post, 7);
  const page = await openForum(context, site, bar(post), { script: snippet('words') });
  await reads(page, ['Gefällt mir: 2 *']);
  assert.equal(await barOf(page).locator('.who').textContent(), 'Du und 1 weitere');
  assert.equal(await barOf(page).locator('.picture').first().textContent(), '💚');
  assert.equal(await barOf(page).locator('.add').getAttribute('aria-label'), 'Reagieren');
});

test('the token is asked for, sent, and asked for again after a 401, with the same key', async (t) => {
  // A stub of a service that takes tokens: the real one behind it is told the user.
  const post = newPost();
  const [asked, seen] = [[], []];
  site.faults = ({ method, path, headers, key }) => {
    if (path === '/forum/onetap-token') {
      asked.push(method);
      return { answer: { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token: `t${asked.length}` }) } };
    }
    if (!path.startsWith('/v1')) return undefined;
    const json = { 'Content-Type': 'application/json' };
    assert.match(headers.authorization, /^Bearer t[12]$/);
    if (method === 'PUT') {
      seen.push([path, key, headers.authorization]);
      // The token that has been good for reading has run out when the tap comes.
      if (headers.authorization === 'Bearer t1') return { answer: { status: 401, headers: json, body: '{"code": "unauthenticated"}' } };
      return { answer: { status: 201, headers: json, body: JSON.stringify({ post_id: post, reaction: 'like', user_id: '42', active: true, changed: true, count: 1, revision: 9, replaced: [] }) } };
    }
    if (path.includes('/stream')) return { hold: 60_000 };
    return { answer: { status: 200, headers: json, body: JSON.stringify({ posts: [{ post_id: post, revision: 1, locked: false, total: 0, reactions: [] }] }) } };
  };
  t.after(() => (site.faults = () => undefined));
  const page = await openForum(context, site, bar(post), { script: snippet('token') });
  await reads(page, ['Like']);
  await buttonOf(barOf(page), 'Like').click();
  await until('the tap has come twice', () => seen.length === 2);
  await page.evaluate(() => OnetapBar.client.settled());
  assert.deepEqual(await read(page), ['Like, 1 *']);
  const [[path, key], second] = seen;
  assert.match(path, /\/users\/me$/);
  assert.deepEqual(second, [path, key, 'Bearer t2']);
  assert.deepEqual(asked, ['POST', 'POST']);
});

test('plain fetch: the same key for each attempt, what was meant in the end', async () => {
  const post = newPost();
  const page = await openForum(context, site, '', { script: `${snippet('fetch')}; globalThis.react = react;` });
  const keys = [];
  site.faults = ({ method, key }) => {
    if (method !== 'PUT') return undefined;
    keys.push(key);
    return [{ drop: 'after' }, { drop: 'before' }, { answer: { status: 504, body: '{}' } }][keys.length - 1];
  };
  const answer = await page.evaluate((post) => react(post, '42', '👍', true), post);
  site.faults = () => undefined;
  assert.deepEqual([answer.active, answer.count, answer.changed], [true, 1, true], 'the first attempt\'s answer');
  assert.equal(keys.length, 4);
  assert.equal(new Set(keys).size, 1);
  assert.deepEqual(await page.evaluate((post) => react(post, '42', 'No such name', true).then((answer) => answer.refused.code), post), 'invalid_reaction');
  await page.evaluate((post) => react(post, '42', '👍', false), post);
  assert.deepEqual(await held(service, post, 42, '👍'), { count: 0, mine: false });
});

test('Django: rendered on the server, hydrated in the browser, a form without a script', async (t) => {
  assert.ok(existsSync(DJANGO), 'Django is not there: `make web-tools` installs it');
  const forum = (...requests) => {
    const input = JSON.stringify({ views: snippet('views.py'), template: snippet('thread.html'), onetap: service.url, requests });
    const runner = fileURLToPath(new URL('support/django_forum.py', import.meta.url));
    const run = spawnSync('python3', ['-B', runner], { input, encoding: 'utf8', env: { ...process.env, PYTHONPATH: DJANGO } });
    assert.equal(run.status, 0, run.stderr);
    return JSON.parse(run.stdout);
  };
  const post = '6f6e6574-6170-8000-8000-000000000029';
  for (const user of [1, 2, 7]) await other(service, post, user);
  await other(service, post, 1, true, 'love');
  const look = { method: 'GET', path: '/thread/1' };
  const [{ status, body }] = forum(look);
  assert.equal(status, 200);

  // The service is not asked for anything until what the server said is shown.
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  site.faults = () => ({ hold: gate });
  t.after(() => (site.faults = () => undefined));
  const page = await openForum(context, site, body.replace(/<script.*?<\/script>/, ''), { script: null });
  const boxes = (selector) => page.locator(selector).evaluateAll((all) => all.map((element) => JSON.stringify(element.getBoundingClientRect())));
  const before = await boxes('onetap-bar > form > button');
  assert.equal(before.length, 3);
  await page.addScriptTag({ type: 'module', url: '/onetap-bar.js' });
  await reads(page, ['Like, 3 *', 'Love, 1'], 0);
  await reads(page, ['Like'], 1);
  assert.deepEqual(await boxes('onetap-bar .reaction'), before);
  assert.equal(await page.evaluate(() => shift), 0);
  release();
  await buttonOf(barOf(page, 1), 'Like').click();
  await until('it is counted', async () => (await held(service, '6f6e6574-6170-8000-8000-00000000002a', 7)).mine);

  // Without a script: what was seen pressed goes off, however often it is sent; what was not goes on.
  const off = { method: 'POST', path: '/react/41', data: { mine: 'like', reaction: 'like' } };
  const on = { method: 'POST', path: '/react/41', data: { mine: 'like', reaction: 'love' } };
  const [first, again, , after] = forum(off, off, on, look);
  assert.deepEqual([first.status, first.location, again.status], [302, '/thread/1', 302]);
  assert.deepEqual(await held(service, post, 7), { count: 2, mine: false });
  assert.deepEqual(await held(service, post, 7, 'love'), { count: 2, mine: true });
  assert.match(after.body, /value="love" aria-pressed="true"\s+aria-label="love, 2"/);
});

test('no snippet is left out, and no code stands outside of one', () => {
  assert.deepEqual([...SNIPPETS.keys()].sort(), [...used].sort());
  assert.equal(GUIDE.match(/^```\w+$/gm).length, SNIPPETS.size);
});
