// The card of names: under a resting pointer, at the focus, under a long touch.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { NAMES, axe, barOf, buttonOf, openForum, read, reads } from './support/bars.js';
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

async function open(t, body, { context: of, ...rest } = {}) {
  const context = await browser.newContext({ reducedMotion: 'reduce', ...of });
  t.after(() => context.close());
  t.after(() => (site.faults = () => undefined));
  site.requests.length = 0;
  return openForum(context, site, body, rest);
}

const PHONE = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
const DESKTOP = { viewport: { width: 1280, height: 800 } };
const bar = (post, reactions) => `<onetap-bar post-id="${post}" user-id="1" reactions="${reactions.join(' ')}"></onetap-bar>`;
const cardOf = (page, place = 0) => barOf(page, place).locator('.card');

test('a resting pointer brings the names, and takes them away again', async (t) => {
  const post = newPost();
  for (let user = 14; user >= 1; user -= 1) await other(service, post, user);
  await other(service, post, 2, true, 'love');
  const page = await open(t, `<div style="block-size: 200px"></div>${bar(post, ['like', 'love'])}<div style="block-size: 2000px"></div>`, { script: NAMES, context: DESKTOP });
  await reads(page, ['Like, 14 *', 'Love, 1']);
  const [like, love, card] = [buttonOf(barOf(page), 'Like'), buttonOf(barOf(page), 'Love'), cardOf(page)];
  for (const selector of ['.reaction', '.who']) assert.equal(await barOf(page).locator(selector).first().getAttribute('title'), null, 'no second hint');
  assert.match(await like.evaluate((button) => button.getAttribute('aria-description').replace(/[\u2068\u2069]/g, '')), /^You, Ben and 12 others$/, 'to the ear without it');
  await like.hover();
  await until('ten names', async () => (await card.locator('.card-names').textContent()) === 'You, Ben, Carla, User no. 4, User no. 5, User no. 6, User no. 7, User no. 8, User no. 9, User no. 10 and 4 others');
  assert.equal(await card.locator('.card-title').textContent(), '👍Like 14');
  assert.deepEqual(await axe(page), []);
  const asked = () => site.requests.filter(({ path }) => path.includes('/users')).length;
  assert.equal(asked(), 1);

  // The pointer may move onto the card: the card stays.
  const box = await card.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height - 4, { steps: 8 });
  await page.waitForTimeout(400);
  assert.equal(await card.isVisible(), true);
  await page.mouse.move(700, 20, { steps: 4 });
  await card.waitFor({ state: 'hidden' });

  // The card asks the service for no names that the bar knows.
  await love.hover();
  await card.waitFor();
  assert.equal(await card.locator('.card-names').textContent(), 'Ben');
  await like.hover();
  await until('the other\'s', async () => (await card.locator('.card-title').textContent()) === '👍Like 14');
  assert.equal(asked(), 1);

  await page.keyboard.press('Escape');
  await card.waitFor({ state: 'hidden' });
  await page.mouse.move(700, 20);
  await like.hover();
  await card.waitFor();
  await page.mouse.wheel(0, 40);
  await card.waitFor({ state: 'hidden' });
  assert.deepEqual(page.problems, []);
});

test('the line has a card, too: people, not reactions, however many of them there are', async (t) => {
  const post = newPost();
  const names = ['like', 'love', 'laugh'];
  for (let user = 1; user <= 14; user += 1) for (const reaction of names) await other(service, post, user, true, reaction);
  const page = await open(t, bar(post, names), { script: NAMES, context: DESKTOP });
  await until('all of them', async () => (await read(page)).length === 3);
  await barOf(page).locator('.who').hover();
  await cardOf(page).waitFor();
  await until('names', async () => /User no. 14, User no. 13.* and others$/.test(await cardOf(page).locator('.card-names').textContent()));
  assert.equal(await cardOf(page).locator('.card-title').textContent(), 'Reactions 42');
  assert.deepEqual(page.problems, []);
});

test('a press is no rest: no card over what it has opened, and none until the pointer comes anew', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, bar(post, ['like', 'love']), { script: NAMES, context: DESKTOP });
  await reads(page, ['Like, 1']);
  await buttonOf(barOf(page), 'Like').click();
  await page.waitForTimeout(700);
  assert.equal(await cardOf(page).isVisible(), false);
  await page.mouse.move(0, 0);
  await buttonOf(barOf(page), 'Like').hover();
  await cardOf(page).waitFor();
  await barOf(page).locator('.who').click();
  await barOf(page).locator('.user').first().waitFor();
  await page.waitForTimeout(500);
  assert.equal(await cardOf(page).isVisible(), false);
});

test('by keys: a card at the focus, Escape closes it alone, and it goes with the focus', async (t) => {
  const post = newPost();
  for (const user of [2, 3]) await other(service, post, user);
  const page = await open(t, `<dialog>${bar(post, ['like', 'love'])}</dialog>`, { script: `${NAMES}; document.querySelector('dialog').showModal();`, context: DESKTOP });
  await reads(page, ['Like, 2']);
  await page.keyboard.press('Tab');
  if (!(await barOf(page).evaluate((bar) => bar.shadowRoot.activeElement?.value === 'like'))) await page.keyboard.press('Shift+Tab');
  await until('the focus is there', () => barOf(page).evaluate((bar) => bar.shadowRoot.activeElement?.value === 'like'));
  await cardOf(page).waitFor();
  assert.equal(await cardOf(page).locator('.card-names').textContent(), 'Carla and Ben');
  await page.keyboard.press('Escape');
  await cardOf(page).waitFor({ state: 'hidden' });
  assert.equal(await page.locator('dialog[open]').count(), 1, 'the page\'s own dialog is still there');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Shift+Tab');
  await cardOf(page).waitFor();
  await page.keyboard.press('Tab');
  await cardOf(page).waitFor({ state: 'hidden' });
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Tab');
  await page.waitForTimeout(600);
  assert.equal(await cardOf(page).isVisible(), false, 'not where the focus only passed');
  await page.keyboard.press('Escape');
  await until('now it goes', async () => (await page.locator('dialog[open]').count()) === 0);
});

test('a card tells of what there is now: of another post, and after somebody came for somebody', async (t) => {
  const [one, two] = [newPost(), newPost()];
  for (let user = 2; user <= 6; user += 1) await other(service, one, user);
  for (let user = 12; user <= 16; user += 1) await other(service, two, user);
  const page = await open(t, `<onetap-bar post-id="${one}" user-id="1"></onetap-bar>`, { script: NAMES, context: DESKTOP });
  const names = async () => {
    await page.mouse.move(700, 500);
    await cardOf(page).waitFor({ state: 'hidden' });
    await buttonOf(barOf(page), 'Like').hover();
    await cardOf(page).waitFor();
    await until('five names', async () => / and [^ ]/.test(await cardOf(page).locator('.card-names').textContent()) && !/other/.test(await cardOf(page).locator('.card-names').textContent()));
    return (await cardOf(page).locator('.card-names').textContent()).replaceAll('User no. ', '');
  };
  await reads(page, ['Like, 5']);
  assert.equal(await names(), '6, 5, 4, Carla and Ben');
  await page.evaluate((post) => document.querySelector('onetap-bar').setAttribute('post-id', post), two);
  await until('the other post\'s', async () => (await barOf(page).locator('.who').textContent()).startsWith('User no. 16'));
  assert.equal(await names(), '16, 15, 14, 13 and 12');
  await other(service, two, 12, false);
  await reads(page, ['Like, 4']);
  // An open card follows the changes, too.
  assert.equal(await cardOf(page).locator('.card-title').textContent(), '👍Like 4');
  assert.match(await cardOf(page).locator('.card-names').textContent(), / and 1 other$/);
  await other(service, two, 20);
  await reads(page, ['Like, 5']);
  await until('the newest', async () => (await barOf(page).locator('.who').textContent()).startsWith('User no. 20'));
  assert.equal(await names(), '20, 16, 15, 14 and 13');
  // The page removes the bar while its card is about to open.
  await page.mouse.move(700, 500);
  await buttonOf(barOf(page), 'Like').hover();
  await page.evaluate(() => document.querySelector('onetap-bar').remove());
  await page.waitForTimeout(600);
  assert.deepEqual(page.problems, []);
});

/** A finger, by the browser's own protocol. */
async function finger(page, locator) {
  const session = await page.context().newCDPSession(page);
  const box = await locator.boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const send = (type, touchPoints) => session.send('Input.dispatchTouchEvent', { type, touchPoints });
  return { down: () => send('touchStart', [{ x, y }]), move: (dx, dy) => send('touchMove', [{ x: x + dx, y: y + dy }]), up: () => send('touchEnd', []) };
}

test('a long touch brings the names and taps nothing; a short one taps', async (t) => {
  const post = newPost();
  for (const user of [2, 3]) await other(service, post, user);
  const page = await open(t, `<div style="block-size: 200px"></div>${bar(post, ['like', 'love'])}`, { script: NAMES, context: PHONE });
  await reads(page, ['Like, 2']);
  const like = buttonOf(barOf(page), 'Like');
  const touch = await finger(page, like);
  // The very first touch, while the card's file is still on its way.
  await touch.down();
  await cardOf(page).waitFor();
  await touch.up();
  await page.waitForTimeout(300);
  assert.equal(await cardOf(page).isVisible(), true, 'it stays when the finger goes');
  assert.equal(await cardOf(page).locator('.card-names').textContent(), 'Carla and Ben');
  assert.deepEqual([await read(page), site.writes()], [['Like, 2'], []]);
  await page.touchscreen.tap(300, 40);
  await cardOf(page).waitFor({ state: 'hidden' });

  // A finger that moves on wants to scroll.
  // The page gets both events at once. Between them, a busy machine could pause for long enough to
  // make a long touch. The same holds for the next two.
  await Promise.all([touch.down(), touch.move(0, 30)]);
  await page.waitForTimeout(700);
  assert.equal(await cardOf(page).isVisible(), false);
  await touch.up();

  await Promise.all([touch.down(), touch.up()]);
  await reads(page, ['Like, 3 *']);
  await page.waitForTimeout(700);
  assert.equal(await cardOf(page).isVisible(), false);
  await until('it is counted', async () => (await held(service, post, 1)).mine);

  // A focus elsewhere in the bar changes nothing.
  await barOf(page).locator('.add').focus();
  await touch.down();
  await cardOf(page).waitFor();
  await touch.up();
  await page.waitForTimeout(300);
  assert.equal(await cardOf(page).isVisible(), true);
  assert.deepEqual(site.writes().map(({ method }) => method), ['PUT']);
});

test('guests see names, too; a bar that goes takes its card along', async (t) => {
  const post = newPost();
  for (const user of [2, 3]) await other(service, post, user);
  const page = await open(t, `<onetap-bar post-id="${post}" readonly></onetap-bar>`, { script: NAMES, context: DESKTOP });
  await reads(page, ['Like, 2']);
  const { x, y } = await barOf(page).locator('.reaction').boundingBox();
  await page.mouse.move(x + 9, y + 9);
  await cardOf(page).waitFor();
  await page.evaluate((post) => document.querySelector('onetap-bar').setAttribute('post-id', post), newPost());
  await cardOf(page).waitFor({ state: 'hidden' });
  await page.evaluate(() => document.querySelector('onetap-bar').remove());
  await page.keyboard.press('Escape');
  assert.deepEqual(page.problems, []);
});
