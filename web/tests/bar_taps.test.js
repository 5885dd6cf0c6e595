// What <onetap-bar> does when it is touched: by a thumb, by keys, and while the page changes under it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { NAMES, barOf, buttonOf, openForum, read, reads, settled, spoken } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

let browser, service, site;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startService()]);
  site = await startSite({ service });
});
after(() => Promise.all([browser.close(), service.stop(), site.stop()]));

async function open(t, body, options = {}) {
  const { context: of, ...rest } = options;
  const context = await browser.newContext(of);
  t.after(() => context.close());
  t.after(() => (site.faults = () => undefined));
  site.requests.length = 0;
  return openForum(context, site, body, rest);
}

const bar = (post, more = '') => `<onetap-bar post-id="${post}" reactions="like love laugh helpful=💡" user-id="1" ${more}></onetap-bar>`;
const counted = (post, reaction) => held(service, post, 1, reaction);

/** What has the focus, through shadow roots, as a screen reader names it. */
const focused = (page) => page.evaluate(() => {
  let element = document.activeElement;
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  return element?.getAttribute('aria-label') ?? element?.textContent;
});

test('a tap is shown at once, said, and counted', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, bar(post));
  await reads(page, ['Like, 1']);
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  site.faults = ({ method }) => (method === 'PUT' ? { hold: gate } : undefined);
  await buttonOf(barOf(page), 'Like').click();
  assert.deepEqual(await read(page), ['Like, 2 *']);
  assert.ok(['', 'Like not saved yet'].includes(await spoken(page)), 'not before it is saved');
  release();
  await until('it is counted', async () => (await counted(post)).mine);
  await until('it is said', async () => (await spoken(page)) === 'Like added, 2 in all');
  assert.ok((await page.evaluate((post) => changes.filter((state) => state.postId === post).length, post)) > 0, 'told to the page');
  assert.deepEqual(page.problems, []);
});

test('a double tap is one wish, to the eye and to the ear', async (t) => {
  const post = newPost();
  // Longer than the default, because on a busy machine the second tap may come late.
  const gestureMs = 3_000;
  const script = `OnetapBar.client = new Onetap({ userId: 1, gestureMs: ${gestureMs} });`;
  const page = await open(t, bar(post), { script, context: { hasTouch: true, isMobile: true } });
  await reads(page, ['Like']);
  const box = await buttonOf(barOf(page), 'Like').boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  await barOf(page).locator('.spoken').evaluate((region) => {
    globalThis.said = [];
    new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true, characterData: true, subtree: true });
  });
  await page.touchscreen.tap(x, y);
  await page.touchscreen.tap(x, y);
  assert.deepEqual(await read(page), ['Like, 1 *']);
  await page.evaluate(() => OnetapBar.client.settled());
  assert.equal(await spoken(page), 'Like added, 1 in all');
  // If the answer takes longer than a second, the bar first says that the tap is not saved yet.
  const said = (await page.evaluate(() => globalThis.said)).filter((text) => text !== 'Like not saved yet');
  assert.deepEqual(said, ['Like added, 1 in all'], 'said once');
  assert.deepEqual(await counted(post), { count: 1, mine: true });
  // A tap after a while is another gesture.
  await page.waitForTimeout(gestureMs + 50);
  await page.touchscreen.tap(x, y);
  await until('it is said', async () => (await spoken(page)) === 'Like removed, 0 left');
  await until('it is taken back', async () => !(await counted(post)).mine);
  assert.deepEqual(site.writes().map(({ method }) => method), ['PUT', 'DELETE']);
});

test('a double tap on a page that is busy in between is one wish', async (t) => {
  const post = newPost();
  // By the browser's clock, the clicks are less than this apart, even on a slow machine.
  const gestureMs = 1_500;
  const script = `OnetapBar.client = new Onetap({ userId: 1, gestureMs: ${gestureMs} });`;
  const page = await open(t, bar(post), { script });
  await reads(page, ['Like']);
  // Both clicks reach the browser at once; the page sees the second one when it has time again.
  await page.evaluate((busyMs) => addEventListener('click', () => {
    for (const end = performance.now() + busyMs; performance.now() < end;);
  }, { once: true }), gestureMs + 250);
  await buttonOf(barOf(page), 'Like').dblclick();
  assert.deepEqual(await read(page), ['Like, 1 *']);
  await settled(page);
  assert.deepEqual(await counted(post), { count: 1, mine: true });
});

test('by keys alone: tap, add another, see who reacted, and out again', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, bar(post), { script: NAMES });
  await reads(page, ['Like, 1']);
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Like, 1');
  await page.keyboard.press('Space');
  await until('it is counted', async () => (await counted(post)).mine);
  assert.equal(await focused(page), 'Like, 2', 'the focus stays');

  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Add a reaction');
  await page.keyboard.press('Enter');
  await until('the list has the focus', async () => (await focused(page)) === 'Like');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Laugh');
  await page.keyboard.press('Enter');
  await reads(page, ['Like, 2 *', 'Laugh, 1 *']);
  assert.equal(await focused(page), 'Add a reaction', 'the focus comes back');
  await until('it is counted', async () => (await counted(post, 'laugh')).mine);

  await page.keyboard.press('Enter');
  await until('the list is open', async () => (await focused(page)) === 'Like');
  await page.keyboard.press('Escape');
  await until('it is closed', async () => (await focused(page)) === 'Add a reaction');

  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'You and Ben');
  await page.keyboard.press('Enter');
  await barOf(page).getByRole('link', { name: 'Ben' }).waitFor();
  assert.equal(await focused(page), 'All');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Laugh, 1');
  await page.keyboard.press('Space');
  await until('only who laughed', async () => (await barOf(page).locator('.user').count()) === 1);
  await page.keyboard.press('Escape');
  await until('the focus comes back', async () => (await focused(page)) === 'You and Ben');
});

test('a key that is held down is one tap', async (t) => {
  const post = newPost();
  const page = await open(t, bar(post));
  await reads(page, ['Like']);
  await page.keyboard.press('Tab');
  await page.keyboard.down('Enter');
  for (let i = 0; i < 10; i += 1) {
    await page.waitForTimeout(100);
    await page.keyboard.down('Enter');
  }
  await page.keyboard.up('Enter');
  assert.deepEqual(await read(page), ['Like, 1 *']);
  await settled(page);
  assert.deepEqual(site.writes().map(({ method }) => method), ['PUT']);
});

test('the picker shows the page\'s list, adds, and takes back', async (t) => {
  const post = newPost();
  const page = await open(t, bar(post));
  await reads(page, ['Like']);
  const add = barOf(page).getByRole('button', { name: 'Add a reaction' });
  const option = (name) => barOf(page).locator('.picker').getByRole('button', { name });
  await add.click();
  await option('Helpful').waitFor();
  assert.deepEqual(await barOf(page).locator('.option').allTextContents(), ['👍', '❤️', '😄', '💡']);
  await option('Helpful').click();
  await reads(page, ['Like', 'Helpful, 1 *']);
  assert.equal(await option('Helpful').isVisible(), false);
  await until('it is counted', async () => (await counted(post, 'helpful')).mine);
  await page.waitForTimeout(450);
  await add.click();
  assert.equal(await option('Helpful').getAttribute('aria-pressed'), 'true');
  await option('Helpful').click();
  await reads(page, ['Like', 'Helpful']);
  // A touch elsewhere closes it.
  await add.click();
  await page.locator('#below').click();
  assert.equal(await option('Helpful').isVisible(), false);
});

for (const dir of ['ltr', 'rtl']) {
  test(`the picker stays in the window, at its button (${dir})`, async (t) => {
    const page = await open(t, `<div style="margin-block: 20rem">${bar(newPost())}</div>`, { dir, context: { viewport: { width: 320, height: 640 }, reducedMotion: 'reduce' } });
    await reads(page, ['Like']);
    await barOf(page).locator('.add').click();
    await until('it has its place', async () => (await focused(page)) === 'Like');
    const [picker, add] = [await barOf(page).locator('.picker').boundingBox(), await barOf(page).locator('.add').boundingBox()];
    assert.ok(picker.x >= 0 && picker.x + picker.width <= 320, JSON.stringify(picker));
    assert.ok(picker.y + picker.height <= add.y, 'above the button');
    assert.ok(picker.x < add.x + add.width && picker.x + picker.width > add.x, 'at the button');
    const first = await buttonOf(barOf(page), 'Like').boundingBox();
    assert.equal(first.x < add.x, dir === 'ltr');
  });
}

test('who reacted: pages, one reaction alone, links', async (t) => {
  const post = newPost();
  for (let user = 1; user <= 60; user += 1) await other(service, post, user);
  await other(service, post, 2, true, 'love');
  const page = await open(t, bar(post), { script: NAMES });
  await reads(page, ['Like, 60 *', 'Love, 1']);
  assert.equal(site.requests.some(({ path }) => path.includes('/users?')), false, 'not before it is asked for');
  await barOf(page).locator('.who').click();
  const users = barOf(page).locator('.user');
  await until('the first page', async () => (await users.count()) === 25);
  assert.match(await users.first().textContent(), /Ben.*❤️$/);
  assert.equal(await users.first().getByRole('link').getAttribute('href'), '/users/2');
  const more = barOf(page).getByRole('button', { name: 'Show more' });
  await more.click();
  await until('the second page', async () => (await users.count()) === 50);
  await more.click();
  // Ben has come on two pages, and is one person.
  await until('the third page', async () => (await users.count()) === 60);
  assert.deepEqual(await users.first().locator('[role=img]').evaluateAll((given) => given.map((one) => one.getAttribute('aria-label'))), ['Love', 'Like']);
  assert.equal(await more.count(), 0);
  await barOf(page).getByRole('button', { name: 'Love, 1' }).last().click();
  await until('who loves it', async () => (await users.count()) === 1);
  await barOf(page).getByRole('button', { name: 'Close' }).click();
  assert.equal(await users.first().isVisible(), false);
});

test('who reacted, when the list cannot be loaded: said, and tried again', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, bar(post));
  await reads(page, ['Like, 1']);
  let left = Infinity;
  site.faults = ({ path }) => (path.includes('/users?') && left-- > 0 ? { answer: { status: 502, headers: { 'Content-Type': 'text/html' }, body: '<h1>Bad gateway' } } : undefined);
  await barOf(page).locator('.who').click();
  await barOf(page).getByText('The list could not be loaded').waitFor();
  // The client repeats a read that fails now and then.
  await barOf(page).getByRole('button', { name: 'Close' }).click();
  left = 2;
  await barOf(page).locator('.who').click();
  await barOf(page).getByText('User 2').waitFor();
  await barOf(page).getByRole('button', { name: 'Close' }).click();
  left = 3;
  await barOf(page).locator('.who').click();
  await barOf(page).getByText('The list could not be loaded').waitFor();
  site.faults = () => undefined;
  await barOf(page).getByRole('button', { name: 'Try again' }).click();
  await barOf(page).getByText('User 2').waitFor();
});

test('a name is text, whatever is in it, and a link goes nowhere but to a page', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  await other(service, post, 3);
  const page = await open(t, bar(post), { script: 'OnetapBar.resolveUsers = () => [{ id: 2, name: "<img src=x onerror=alert(1)>", url: "javascript:alert(1)" }, { id: 3, name: "Carla", url: "/u/3" }];' });
  await reads(page, ['Like, 2']);
  await barOf(page).locator('.who').click();
  await barOf(page).getByRole('link', { name: 'Carla' }).waitFor();
  assert.equal(await barOf(page).locator('.user', { hasText: '<img src=x onerror=alert(1)>' }).getByRole('link').count(), 0);
  assert.equal(await barOf(page).locator('img').count(), 0);
});

test('a tap that is refused is undone, said and told', async (t) => {
  const post = newPost();
  const page = await open(t, bar(post));
  await reads(page, ['Like']);
  const problem = JSON.stringify({ type: 'about:blank', title: 'No', status: 403, code: 'forbidden', detail: 'not here' });
  site.faults = ({ method }) => (method === 'PUT' ? { answer: { status: 403, headers: { 'Content-Type': 'application/problem+json' }, body: problem } } : undefined);
  await buttonOf(barOf(page), 'Like').click();
  await reads(page, ['Like']);
  assert.equal(await spoken(page), 'Like could not be saved and was undone: not here');
  const errors = await page.evaluate(() => globalThis.errors);
  assert.deepEqual(errors.map(({ code, reaction, postId }) => ({ code, reaction, postId })), [{ code: 'forbidden', reaction: 'like', postId: post }]);
});

test('removed while a write is on its way: the write ends, and the bar can be put back', async (t) => {
  const post = newPost();
  const page = await open(t, bar(post));
  await reads(page, ['Like']);
  let tries = 0;
  site.faults = ({ method }) => (method === 'PUT' && !tries++ ? { drop: 'before' } : undefined);
  await buttonOf(barOf(page), 'Like').click();
  await page.evaluate(() => { globalThis.removed = document.querySelector('onetap-bar'); removed.remove(); });
  await until('it is counted', async () => (await counted(post)).mine);
  assert.equal(tries, 2, 'sent again although nobody looks');
  await page.evaluate(() => document.querySelector('main').append(removed));
  await reads(page, ['Like, 1 *']);
  await other(service, post, 2);
  // The page moves the bar. Nothing flickers, and the bar asks the service nothing.
  await page.evaluate(() => document.querySelector('main').prepend(removed));
  assert.equal((await read(page))[0].startsWith('Like'), true);
  assert.deepEqual(page.problems, []);
});

test('another post on the fly: its state, not the old one\'s, whatever is still under way', async (t) => {
  const [one, two] = [newPost(), newPost()];
  await other(service, one, 2);
  for (const user of [2, 3]) await other(service, two, user, true, 'love');
  const page = await open(t, bar(one));
  await reads(page, ['Like, 1']);
  site.faults = ({ method }) => (method === 'PUT' ? { hold: 300 } : undefined);
  await buttonOf(barOf(page), 'Like').click();
  await page.evaluate((post) => document.querySelector('onetap-bar').setAttribute('post-id', post), two);
  await reads(page, ['Like', 'Love, 2']);
  await until('the old post\'s tap is counted', async () => (await counted(one)).mine);
  assert.deepEqual(await read(page), ['Like', 'Love, 2']);
  await page.evaluate((post) => document.querySelector('onetap-bar').setAttribute('post-id', post), one);
  await reads(page, ['Like, 2 *']);
});

test('an integer is a post id', async (t) => {
  await other(service, '6f6e6574-6170-8000-8000-00000000002a', 2);
  const page = await open(t, bar('42'));
  await reads(page, ['Like, 1']);
});

test('without a post: its children, one event, no question; with one it begins', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, '<onetap-bar reactions="like" user-id="1"><em>No reactions here</em></onetap-bar>');
  await until('it is told', () => page.evaluate(() => errors.length));
  assert.equal(await page.getByText('No reactions here').isVisible(), true);
  await page.evaluate(() => { const bar = document.querySelector('onetap-bar'); bar.tap('like'); bar.showReactors(); bar.remove(); document.querySelector('main').append(bar); });
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
  assert.deepEqual(await page.evaluate(() => errors.map(({ code }) => code)), ['no_post_id'], 'once');
  assert.deepEqual(site.requests.filter(({ path }) => path.startsWith('/v1')), []);
  await page.evaluate((post) => document.querySelector('onetap-bar').setAttribute('post-id', post), post);
  await reads(page, ['Like, 1']);
  assert.deepEqual(page.problems, []);
});

test('a post id that is none is told, once in the console, and the page goes on', async (t) => {
  const page = await open(t, bar('not-a-post') + bar('not-a-post') + bar(newPost()));
  await reads(page, ['Like'], 2);
  assert.deepEqual(page.problems, []);
  assert.deepEqual(page.warnings, ['onetap-bar: invalid_post_id: not a UUID: not-a-post']);
});

test('a user id that is none, or missing: reactions are shown, taps refused, the console says why', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, `<onetap-bar post-id="${post}" user-id="an na"></onetap-bar><onetap-bar post-id="${post}"></onetap-bar>`);
  for (const place of [0, 1]) {
    await reads(page, ['Like, 1'], place);
    await buttonOf(barOf(page, place), 'Like').click();
    await until('it is said', async () => (await spoken(page, place)) === 'Like could not be saved and was undone: sign in first');
  }
  assert.deepEqual(await page.evaluate(() => errors.map(({ code }) => code)), ['unauthenticated', 'unauthenticated']);
  assert.deepEqual(page.warnings, [
    'onetap-bar: TypeError: userId is an integer (above 2^53 as a string) or a text id, and excludes token: an na',
    'onetap-bar: unauthenticated: whose tap? neither userId nor token was given',
  ]);
  assert.deepEqual([page.problems, site.writes().filter(({ path }) => path.includes(post))], [[], []]);
});

test('names that never come do not hold the list up', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, bar(post), { script: 'OnetapBar.resolveUsers = () => new Promise(() => {});' });
  await reads(page, ['Like, 1']);
  await barOf(page).locator('.who').click();
  await barOf(page).getByText('User 2').waitFor({ timeout: 6_000 });
});

test('a picker goes when what is around it scrolls, and leaves nothing behind', async (t) => {
  const post = newPost();
  const page = await open(t, `<div id="pane" style="height:300px;overflow:auto"><div style="padding-block:120px 2000px"><onetap-bar post-id="${post}" user-id="1" reactions="like love laugh"></onetap-bar></div></div>`, {
    head: `<script>
      globalThis.listening = new Set();
      const [add, remove] = [addEventListener, removeEventListener];
      globalThis.addEventListener = (type, what, ...rest) => (type === 'scroll' && listening.add(what), add(type, what, ...rest));
      globalThis.removeEventListener = (type, what, ...rest) => (listening.delete(what), remove(type, what, ...rest));
    </script>`,
  });
  await reads(page, ['Like']);
  const picker = barOf(page).locator('.picker');
  await barOf(page).locator('.add').click();
  await picker.waitFor();
  await page.locator('#pane').evaluate((pane) => pane.scrollBy(0, 40));
  await picker.waitFor({ state: 'hidden' });
  for (let i = 0; i < 3; i += 1) {
    await barOf(page).locator('.add').click();
    await picker.waitFor();
    await page.keyboard.press('Escape');
    await picker.waitFor({ state: 'hidden' });
  }
  await until('nobody listens any more', () => page.evaluate(() => listening.size === 0));
  assert.deepEqual(page.problems, []);
});

test('a post id that is too large takes no tap, least of all for the post before it', async (t) => {
  const post = newPost();
  const page = await open(t, bar(post));
  await reads(page, ['Like']);
  await page.evaluate(() => document.querySelector('onetap-bar').setAttribute('post-id', '9'.repeat(22)));
  await until('it is told', () => page.evaluate(() => errors.some(({ code }) => code === 'invalid_post_id')));
  await page.evaluate(() => document.querySelector('onetap-bar').tap('like'));
  assert.equal((await counted(post)).count, 0);
  assert.deepEqual(page.problems, []);
});

test('a client that a bar was given before the element was there is its own', async (t) => {
  const post = newPost();
  const page = await open(t, `<onetap-bar post-id="${post}"></onetap-bar><script type="module">
    import { Onetap } from '/onetap.js';
    document.querySelector('onetap-bar').client = globalThis.early = new Onetap({ userId: 7 });
  </script>`);
  await reads(page, ['Like']);
  assert.equal(await barOf(page).evaluate((bar) => bar.client === early), true);
  await buttonOf(barOf(page), 'Like').click();
  await until('user 7 has it', async () => (await held(service, post, 7)).mine);
});

test('the page\'s own client, given before or after the bars are there; one bar\'s own', async (t) => {
  const post = newPost();
  const page = await open(t, `<onetap-bar post-id="${post}"></onetap-bar><onetap-bar post-id="${post}"></onetap-bar>`, {
    script: `OnetapBar.client = new Onetap({ userId: 7 }); document.querySelectorAll('onetap-bar')[1].client = new Onetap({ userId: 8 });`,
  });
  await reads(page, ['Like'], 0);
  await reads(page, ['Like'], 1);
  await buttonOf(barOf(page, 0), 'Like').click();
  await until('user 7 has it', async () => (await held(service, post, 7)).mine);
  await buttonOf(barOf(page, 1), 'Like').click();
  await until('user 8 has it', async () => (await held(service, post, 8)).mine);
  await page.evaluate(() => { OnetapBar.client = new Onetap({ userId: 9 }); });
  await page.waitForTimeout(450);
  await buttonOf(barOf(page, 0), 'Like').click();
  await until('user 9 has it', async () => (await held(service, post, 9)).mine);
  assert.equal((await held(service, post, 7)).mine, true);
});
