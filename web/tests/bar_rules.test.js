// What <onetap-bar> offers, and what it shows of locks, exclusive groups, aliases and refusals.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { axe, barOf, buttonOf, openForum, reads, settled, spoken } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { moderate, startWithPalettes } from './support/palettes.js';
import { held, newPost, other } from './support/posts.js';
import { until } from './support/service.js';
import { startSite } from './support/site.js';

let browser, service, site;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startWithPalettes()]);
  site = await startSite({ service });
});
after(() => Promise.all([browser.close(), service.stop(), site.stop()]));

async function open(t, body, { context: of, ...options } = {}) {
  const context = await browser.newContext(of);
  t.after(() => context.close());
  t.after(() => (site.faults = () => undefined));
  return openForum(context, site, body, options);
}

const bar = (post, more = '') => `<onetap-bar post-id="${post}" user-id="1" quick="4" ${more}></onetap-bar>`;
const button = (page, label) => (label === '👍' ? barOf(page).locator(`.reaction[value='👍']`) : buttonOf(barOf(page), label));
const CLOSED = 'Closed: reactions can only be removed';

test('without a list of the page it offers the palette, in its order, and nothing moves', async (t) => {
  const post = newPost();
  await other(service, post, 2, true, 'down');
  const page = await open(t, bar(post));
  await reads(page, ['Like', 'Up', 'Down, 1', '👍']);
  assert.equal(await page.evaluate(() => shift), 0);
  await button(page, 'Up').click();
  await reads(page, ['Like', 'Up, 1 *', 'Down, 1', '👍']);
  assert.deepEqual(page.problems, []);
});

test('a moderator gives the post another palette: the bar offers that', async (t) => {
  const post = newPost();
  await moderate(service, post, 'rules', 'PUT', { palette: 'qa' });
  const page = await open(t, bar(post));
  await reads(page, ['Helpful', 'Same question']);
});

test('what it shows after an error, before it knows the post, is a guess and does not stay', async (t) => {
  const post = newPost();
  await moderate(service, post, 'rules', 'PUT', { palette: 'qa' });
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  let calls = 0;
  site.faults = ({ path }) => {
    if (!path.startsWith('/v1/posts/reactions?')) return undefined;
    return (calls += 1) === 1 ? { drop: 'before' } : { hold: gate };
  };
  const page = await open(t, bar(post));
  await reads(page, ['Like', 'Up', 'Down', '👍']);
  release();
  await reads(page, ['Helpful', 'Same question']);
});

test('if the service does not say, it offers a like, as ever', async (t) => {
  site.faults = ({ path }) => (path === '/v1/palettes' ? { drop: 'before' } : undefined);
  const page = await open(t, bar(newPost()));
  await reads(page, ['Like']);
});

test('until it is known what is offered, the children stay', async (t) => {
  const post = newPost();
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  site.faults = ({ path }) => (path === '/v1/palettes' ? { hold: gate } : undefined);
  await other(service, post, 2, true, 'down');
  // Measured on the page: a busy machine may look at it late.
  const head = `<script>
    const began = performance.now();
    const look = () => {
      const child = document.querySelector('onetap-bar i');
      if (child && !child.checkVisibility()) globalThis.gone = performance.now() - began;
      else requestAnimationFrame(look);
    };
    look();</script>`;
  const page = await open(t, `<onetap-bar post-id="${post}" user-id="1" quick="4"><i>Like</i></onetap-bar>`, { head });
  await until('the post is read', () => site.reads().some(({ path, status }) => path.includes(post) && status));
  // After a second it shows what it knows.
  await reads(page, ['Down, 1']);
  const gone = await page.waitForFunction(() => globalThis.gone);
  assert.ok((await gone.jsonValue()) >= 1000);
  release();
  await reads(page, ['Like', 'Up', 'Down, 1', '👍']);
});

for (const colorScheme of ['light', 'dark']) {
  test(`a lock is seen at once, with its reason, and the own reaction can go (${colorScheme})`, async (t) => {
    const post = newPost();
    await other(service, post, 1, true, 'like');
    await other(service, post, 2, true, '👍');
    const page = await open(t, bar(post, 'quick="2"').replace('quick="4"', ''), { context: { colorScheme } });
    await reads(page, ['Like, 1 *', 'Up', '👍, 1']);
    await until('the stream is open', () => site.streams().at(-1)?.status === 200);
    await moderate(service, post, 'lock');
    await barOf(page).getByText(CLOSED).waitFor();
    for (const [label, enabled] of [['Like', true], ['Up', false], ['👍', false]])
      assert.equal(await button(page, label).isEnabled(), enabled, label);
    assert.equal(await button(page, 'Up').getAttribute('title'), 'no reactions can be added here');
    assert.equal(await barOf(page).locator('.add').isEnabled(), false);
    assert.deepEqual(await axe(page), []);
    await button(page, 'Like').click();
    await reads(page, ['Like', 'Up', '👍, 1']);
    await until('it is gone', async () => !(await held(service, post, 1)).mine);
    await moderate(service, post, 'lock', 'DELETE');
    await barOf(page).getByText(CLOSED).waitFor({ state: 'hidden' });
    assert.equal(await button(page, 'Up').isEnabled(), true);
    assert.equal(await barOf(page).locator('.add').isEnabled(), true);
    assert.deepEqual(page.problems, []);
  });
}

test('where only what is there may be added, the picker offers that alone', async (t) => {
  const post = newPost();
  await other(service, post, 2, true, 'down');
  await moderate(service, post, 'rules', 'PUT', { add: 'existing' });
  const page = await open(t, bar(post, 'quick="1"').replace('quick="4"', ''));
  await reads(page, ['Like', 'Down, 1']);
  await barOf(page).getByText('Only reactions that are here already').waitFor();
  assert.equal(await button(page, 'Like').isEnabled(), false);
  await barOf(page).locator('.add').click();
  const options = barOf(page).locator('.option');
  await options.first().waitFor();
  const enabled = await options.evaluateAll((all) => all.map((option) => !option.disabled));
  assert.deepEqual(enabled, [false, false, true, false]);
  await options.nth(2).click();
  await reads(page, ['Like', 'Down, 2 *']);
});

test('a tap takes the other of its group away at once', async (t) => {
  const post = newPost();
  await other(service, post, 1, true, 'up');
  await other(service, post, 2, true, 'up');
  const page = await open(t, bar(post));
  await reads(page, ['Like', 'Up, 2 *', 'Down', '👍']);
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  site.faults = ({ method }) => (method === 'PUT' ? { hold: gate } : undefined);
  await button(page, 'Down').click();
  await reads(page, ['Like', 'Up, 1', 'Down, 1 *', '👍']);
  release();
  await settled(page);
  await reads(page, ['Like', 'Up, 1', 'Down, 1 *', '👍']);
  assert.deepEqual(await held(service, post, 1, 'up'), { count: 1, mine: false });
});

test('an alias in the page’s list is shown as what it counts as', async (t) => {
  const post = newPost();
  await other(service, post, 2, true, '👍');
  const page = await open(t, bar(post, 'reactions="+1 like"'));
  await barOf(page).hover();
  await reads(page, ['👍, 1', 'Like']);
  await button(page, '👍').click();
  await reads(page, ['👍, 2 *', 'Like']);
  await settled(page);
  assert.deepEqual(await held(service, post, 1, '👍'), { count: 2, mine: true });
});

test('a refused tap says why, and is undone', async (t) => {
  const post = newPost();
  for (const reaction of ['like', 'up']) await other(service, post, 1, true, reaction);
  const page = await open(t, bar(post, 'reactions="like up 👍"'));
  await reads(page, ['Like, 1 *', 'Up, 1 *', '👍']);
  await button(page, '👍').click();
  const line = barOf(page).locator('.problem');
  await line.waitFor();
  const text = '👍 could not be saved and was undone: there are too many reactions here';
  assert.equal((await line.textContent()).replace('×', ''), text);
  assert.equal(await spoken(page), text);
  await reads(page, ['Like, 1 *', 'Up, 1 *', '👍']);
  assert.deepEqual(page.problems, []);
});

test('a reaction that is not offered cannot be tapped, and says so in the page’s language', async (t) => {
  const post = newPost();
  const script = `OnetapBar.texts.problems.reaction_not_allowed = 'hier nicht erlaubt';`;
  const page = await open(t, bar(post, 'reactions="love like"'), { script });
  await reads(page, ['Love', 'Like']);
  // Before the bar knows what is offered, the service says it.
  await barOf(page).evaluate((bar) => bar.tap('love'));
  await barOf(page).locator('.problem', { hasText: 'hier nicht erlaubt' }).waitFor();
  await reads(page, ['Love', 'Like']);
  await barOf(page).hover();
  await until('it is disabled', async () => !(await button(page, 'Love').isEnabled()));
  assert.equal(await button(page, 'Love').getAttribute('title'), 'hier nicht erlaubt');
  assert.equal(await button(page, 'Like').isEnabled(), true);
});
