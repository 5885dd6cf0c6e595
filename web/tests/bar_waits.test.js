// <onetap-bar> while a tap has no answer, when it is refused, and when the clock here is wrong.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { axe, barOf, buttonOf, openForum, read, reads, spoken } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

let browser, service;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startService()]);
});
after(() => Promise.all([browser.close(), service.stop()]));

async function place(t) {
  const site = await startSite({ service });
  const context = await browser.newContext();
  t.after(() => Promise.all([context.close(), site.stop()]));
  const post = newPost();
  const body = `<onetap-bar post-id="${post}" user-id="1" reactions="like love"></onetap-bar>`;
  const open = (options) => openForum(context, site, body, options);
  return { site, context, post, open };
}

const partOf = (page) =>
  barOf(page).evaluate((bar) => bar.shadowRoot.querySelector('.reaction').part.value);
const dimmed = (page) =>
  barOf(page).evaluate((bar) => getComputedStyle(bar.shadowRoot.querySelector('.count')).opacity !== '1');
/** Whether it is dimmed after so many ms. The test moves the animation there, because a slow machine may be late. */
const dimmedAfter = (page, ms) =>
  barOf(page).evaluate((bar, ms) => {
    const count = bar.shadowRoot.querySelector('.count');
    const [wait] = count.getAnimations();
    wait.currentTime = ms;
    return getComputedStyle(count).opacity !== '1';
  }, ms);
const says = (page, text) =>
  until(`it says: ${text}`, async () => (await spoken(page)) === text).catch(async (error) => {
    throw new Error(`${error.message}, but: ${await spoken(page)}`);
  });
/** Waits, so that the next tap is another gesture. */
const gesture = (page) => page.waitForTimeout(450);
const line = (page) => barOf(page).locator('.problem');

test('a tap that waits looks like one, and is said to; then it is saved', async (t) => {
  const { site, post, open } = await place(t);
  const page = await open();
  await reads(page, ['Like']);
  site.faults = ({ method }) => (method === 'PUT' ? { drop: 'before' } : undefined);
  await buttonOf(barOf(page), 'Like').click();
  assert.equal(await partOf(page), 'reaction reaction-like pressed pending');
  assert.equal(await dimmedAfter(page, 990), false, 'an answer that comes at once makes nothing flicker');
  assert.equal(await dimmedAfter(page, 1000), true);
  await says(page, 'Like not saved yet');
  await until('it looks like waiting', () => dimmed(page));
  site.faults = () => undefined;
  await says(page, 'Like added, 1 in all');
  assert.equal(await partOf(page), 'reaction reaction-like pressed');
  assert.equal(await dimmed(page), false);
  assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
});

test('a tap that its page left behind waits on the next, and is said when it is saved', async (t) => {
  const { site, post, open } = await place(t);
  const page = await open();
  await reads(page, ['Like']);
  site.faults = ({ method }) => (method === 'PUT' ? { drop: 'before' } : undefined);
  await buttonOf(barOf(page), 'Like').click();
  await page.close();
  const next = await open();
  await reads(next, ['Like, 1 *']);
  assert.match(await partOf(next), /pending/);
  await says(next, 'Like not saved yet');
  site.faults = () => undefined;
  await says(next, 'Like added, 1 in all');
  assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
});

const refuse = (site) => {
  const body = JSON.stringify({ code: 'reactions_locked', detail: 'the post is locked' });
  site.faults = ({ method }) => (method === 'PUT' ? { answer: { status: 403, body } } : undefined);
};

test('a refused tap is seen at the bar until it is dismissed, by a mouse or by keys', async (t) => {
  const { site, open } = await place(t);
  const page = await open();
  await reads(page, ['Like']);
  assert.equal(await line(page).isVisible(), false);
  refuse(site);
  await buttonOf(barOf(page), 'Like').click();
  await line(page).waitFor();
  const text = 'Like could not be saved and was undone: no reactions can be added here';
  assert.equal((await line(page).textContent()).replace('×', ''), text);
  assert.equal(await spoken(page), text);
  assert.deepEqual(await read(page), ['Like']);
  assert.deepEqual(await axe(page), []);
  await barOf(page).getByRole('button', { name: 'Close' }).click();
  assert.equal(await line(page).isVisible(), false);
  await gesture(page);
  await buttonOf(barOf(page), 'Like').click();
  await line(page).waitFor();
  await barOf(page).getByRole('button', { name: 'Close' }).focus();
  await page.keyboard.press('Enter');
  assert.equal(await line(page).isVisible(), false);
  const focused = await barOf(page).evaluate((bar) => bar.shadowRoot.activeElement?.className);
  assert.match(focused, /reaction/, 'the focus stays in the bar');
  // The next tap takes it away, too.
  await gesture(page);
  await page.keyboard.press('Enter');
  await line(page).waitFor();
  await gesture(page);
  site.faults = () => undefined;
  await buttonOf(barOf(page), 'Like').click();
  assert.equal(await line(page).isVisible(), false);
  assert.deepEqual(page.problems, []);
});

test('it can be said in another language, by code', async (t) => {
  const { site, open } = await place(t);
  const page = await open({
    script: `Object.assign(OnetapBar.texts, {
      failed: (label, { code, message }) => label + ': ' + (OnetapBar.texts.problems[code] ?? message),
      problems: { reactions_locked: 'Der Beitrag ist geschlossen' }, close: 'Schließen',
      waiting: (label) => label + ' ist noch nicht gespeichert' });`,
  });
  await reads(page, ['Like']);
  refuse(site);
  await buttonOf(barOf(page), 'Like').click();
  await says(page, 'Like: Der Beitrag ist geschlossen');
  await barOf(page).getByRole('button', { name: 'Schließen' }).click();
  site.faults = ({ method }) => (method === 'PUT' ? { drop: 'before' } : undefined);
  await gesture(page);
  await buttonOf(barOf(page), 'Like').click();
  await says(page, 'Like ist noch nicht gespeichert');
});

test('strangers’ text in a problem is text', async (t) => {
  const { site, open } = await place(t);
  const page = await open();
  await reads(page, ['Like']);
  const detail = '<img src=x onerror="globalThis.hit = true">';
  const body = JSON.stringify({ code: 'forbidden', detail });
  site.faults = ({ method }) => (method === 'PUT' ? { answer: { status: 403, body } } : undefined);
  await buttonOf(barOf(page), 'Like').click();
  await line(page).waitFor();
  assert.ok((await line(page).textContent()).includes(detail));
  assert.equal(await page.evaluate(() => globalThis.hit), undefined);
});

for (const hours of [-5, 0, 5]) {
  test(`who reacted, where the clock is off by ${hours} h: ages by the service’s`, async (t) => {
    const { context, post, open } = await place(t);
    await context.addInitScript((ms) => {
      const now = Date.now.bind(Date);
      Date.now = () => now() + ms;
    }, hours * 3_600_000);
    await other(service, post, 2);
    const page = await open();
    await reads(page, ['Like, 1']);
    await barOf(page).evaluate((bar) => bar.showReactors());
    const age = await barOf(page).locator('time').first().textContent();
    assert.match(age, /^(now|\d+ seconds? ago)$/);
  });
}
