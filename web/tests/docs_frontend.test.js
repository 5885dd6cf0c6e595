// Every snippet of docs/frontend.md does what it says.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { barOf, buttonOf, openForum, read, reads } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { readGuide } from './support/guide.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

const { text: GUIDE, snippets: SNIPPETS } = readGuide('frontend.md');
/** What docs_django.test.js and docs_tokens.test.js run. */
const BACKENDS = ['urls.py', 'views.py', 'thread.html', 'tokens.py', 'tokens.js', 'onetap_tokens_controller.rb'];
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

test('three lines put it on a page, and a few more bring names', async () => {
  await other(service, POST, 7);
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => message.type() === 'warning' && page.problems.push(message.text()));
  const head = '<!doctype html><title>Three lines</title><link rel="icon" href="data:,">';
  site.pages['/three'] = head + snippet('page');
  await page.goto(`${site.url}/three`);
  await reads(page, ['Like, 1']);
  const who = () => barOf(page).locator('.who').textContent();
  assert.equal(await who(), '1 person');
  await buttonOf(barOf(page), 'Like').click();
  await until('it is counted', async () => (await held(service, POST, 42)).mine);
  assert.equal(await who(), 'You and 1 other');

  const answers = [{ status: 404, body: '<p>No such page' }, { status: 200, headers: { 'Content-Type': 'application/json' }, body: '[{"id": "7", "name": "Anna"}]' }];
  site.faults = ({ path }) => (path.startsWith('/forum/users?ids=') ? { answer: answers[0] } : undefined);
  site.pages['/names'] = head + snippet('page') + snippet('names');
  await page.goto(`${site.url}/names`);
  await reads(page, ['Like, 2 *']);
  await until('nobody has a name', async () => (await who()) === 'You and 1 other');
  answers.shift();
  await page.reload();
  await until('by name', async () => (await who()) === 'You and Anna');
  site.faults = () => undefined;
  assert.deepEqual(page.problems, []);
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

test('buttons of a page follow the palette', async () => {
  const post = newPost();
  const script = `const client = new Onetap({ userId: 42 }), postId = '${post}', mine = false;
    const button = document.createElement('button');
    client.watch(postId);
    ${snippet('palettes')}
    Object.assign(globalThis, { reactions, disabled: button.disabled });`;
  const page = await openForum(context, site, '', { script });
  assert.deepEqual(await page.evaluate(() => [reactions, disabled]), ['*', false]);
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
  const many = 'like love laugh wow sad angry parrot 🎉 🚀 👀 🙏 💯';
  const images = "OnetapBar.resolveReaction = (reaction) => (reaction === 'parrot' ? { url: 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=' } : undefined);";
  const page = await openForum(context, site, `<onetap-bar post-id="${post}" user-id="42" reactions="${many}"></onetap-bar>`, { script: images });
  await reads(page, ['Like, 31 *']);
  await buttonOf(barOf(page), 'Like').hover();
  await barOf(page).locator('.card').waitFor();
  await barOf(page).locator('.add').click();
  await barOf(page).locator('.option img').waitFor();
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
  for (const part of await parts()) found.add(part);
  // A tap that waits, and is refused.
  let refuse;
  const answered = new Promise((resolve) => (refuse = resolve));
  const answer = { status: 403, body: '{"code": "forbidden"}' };
  site.faults = ({ method }) => (method === 'DELETE' ? { hold: answered, answer } : undefined);
  await barOf(page).locator('.close').click();
  await barOf(page).locator('.reaction').first().click();
  for (const part of await parts()) found.add(part);
  refuse();
  await barOf(page).locator('.problem').waitFor();
  site.faults = () => undefined;
  for (const part of await parts()) found.add(part);
  await barOf(page).getByRole('button', { name: 'Close' }).click();
  // A part that cannot be had.
  const bare = await openForum(context, site, bar(post));
  await context.route('**/onetap-dialog.js*', (route) => route.abort());
  await reads(bare, ['Like, 31 *']);
  await barOf(bare).locator('.who').click();
  await barOf(bare).locator('.dismiss').waitFor();
  await context.unroute('**/onetap-dialog.js*');
  for (const part of await barOf(bare).locator('.problem, .problem *').evaluateAll((all) => all.flatMap((element) => [...element.part]))) found.add(part);
  const told = GUIDE.slice(GUIDE.indexOf('Parts: ')).split('\n\n')[0].match(/`([^`]+)`/g).map((name) => name.slice(1, -1));
  assert.deepEqual([...found, 'reaction-NAME'].filter((name) => !['spoken', 'reaction-like'].includes(name)).sort(), told.sort());
});

test('an image in place of a word, with its text', async () => {
  const post = newPost();
  await other(service, post, 7, true, 'parrot');
  const address = 'https://images.example/parrot.png';
  await context.route(address, (route) => route.fulfill({ status: 200, contentType: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg"/>' }));
  site.pages['/images'] = `<!doctype html><title>Images</title><link rel="icon" href="data:,">${snippet('page')}${snippet('images')}`.replace(POST, post);
  const page = await context.newPage();
  await page.goto(`${site.url}/images`);
  await reads(page, ['Like', 'Parrot, 1']);
  const image = barOf(page).locator('.reaction img');
  await image.waitFor();
  assert.deepEqual([await image.getAttribute('src'), await image.getAttribute('alt')], [address, 'Party parrot']);
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

test('no snippet is left out, and no code stands outside of one', () => {
  assert.deepEqual([...SNIPPETS.keys()].sort(), [...used, ...BACKENDS].sort());
  assert.equal(GUIDE.match(/^```\w+$/gm).length, SNIPPETS.size);
});
