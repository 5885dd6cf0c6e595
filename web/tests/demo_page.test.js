// The demo, as the service serves it: what one sees in ten seconds has to be true.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { axe, barOf, buttonOf } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { startService, until } from './support/service.js';

let browser, service;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startService({ args: ['--demo'] })]);
});
after(() => Promise.all([browser.close(), service.stop()]));

/** Opens it; what the browser complains of (its policy, missing files, errors) is in `page.problems`. */
async function open(t, { hash = '', ...options } = {}) {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  await context.addInitScript(() => {
    globalThis.shift = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) shift += entry.value; }).observe({ type: 'layout-shift', buffered: true });
  });
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
  await page.goto(`${service.url}/demo${hash}`);
  await phone(page, 'onetap', 'Ben').locator('onetap-bar').last().locator('.reaction').first().waitFor();
  return page;
}

const phone = (page, side, name) => page.locator(`[data-side=${side}] .phone`, { hasText: `${name}’s phone` });
const figure = async (page, side, name) => Number(await page.locator(`[data-score=${side}] [data-figure=${name}]`).textContent());
const verdict = (page, side) => page.locator(`[data-score=${side}] .verdict`).textContent();
const scores = async (page) => Object.fromEntries(await Promise.all(['onetap', 'naive'].map(async (side) =>
  [side, { meant: await figure(page, side, 'meant'), sent: await figure(page, side, 'sent'), counted: await figure(page, side, 'counted'), verdict: await verdict(page, side) }])));
const doubleTapAll = (page) => page.getByRole('button', { name: 'Double-tap all 24' });
/** When it may be pressed again. */
const ready = (page) => doubleTapAll(page).and(page.locator('[aria-disabled=false]')).waitFor();
const setSlow = (page, slow) => page.getByRole('switch').setChecked(slow);

/** The score once nothing is on its way any more. */
async function settled(page, side, ms = 60_000) {
  return until(`${side} is settled`, async () => /^[✔✘]/.test(await verdict(page, side)), ms);
}

for (const colorScheme of ['light', 'dark']) {
  for (const [width, height] of [[1280, 900], [390, 844], [320, 640]]) {
    test(`axe has nothing to say, before and after a storm (${colorScheme}, ${width} px)`, async (t) => {
      const page = await open(t, { colorScheme, viewport: { width, height }, reducedMotion: 'reduce' });
      assert.deepEqual(await axe(page), []);
      await setSlow(page, false);
      await doubleTapAll(page).click();
      await settled(page, 'naive');
      await settled(page, 'onetap');
      await ready(page);
      assert.deepEqual(await axe(page), []);
      assert.deepEqual(await page.evaluate(() => {
        const reaches = (element) => element.getBoundingClientRect().right;
        const all = [...document.querySelectorAll('body *:not(.verdict)')].filter((element) => element.checkVisibility());
        return all.filter((element) => reaches(element) > Math.min(innerWidth, reaches(element.parentElement.closest('.score, .scores, .phone, .phones, .controls') ?? element)) + 0.5)
          .map((element) => element.outerHTML.slice(0, 80));
      }), [], 'nothing sticks out');
      assert.deepEqual(page.problems, []);
    });
  }
}

for (const [width, height, hasTouch = false] of [[1280, 900], [768, 1024, true], [390, 844], [390, 844, true], [320, 640, true]]) {
  test(`nothing moves while it loads (${width} px${hasTouch ? ', touched' : ''})`, async (t) => {
    const page = await open(t, { viewport: { width, height }, hasTouch, isMobile: hasTouch });
    await page.waitForTimeout(500);
    assert.equal(await page.evaluate(() => shift), 0);
  });
}

test('all double-tapped on a bad network: with onetap everything is as it was meant', async (t) => {
  const page = await open(t);
  assert.equal(await page.getByRole('switch').isChecked(), true, 'bad from the start');
  await doubleTapAll(page).click();
  await doubleTapAll(page).and(page.locator('[aria-disabled=true]')).waitFor();
  await doubleTapAll(page).click({ force: true }); // Nothing, while it runs.
  await ready(page);
  await settled(page, 'onetap');
  await settled(page, 'naive');
  const { onetap, naive } = await scores(page);
  assert.deepEqual({ ...onetap, sent: 0 }, { meant: 24, sent: 0, counted: 24, verdict: '✔ 24 of 24 right' });
  assert.ok(onetap.sent >= 24, JSON.stringify(onetap));
  // The other half was told the same.
  assert.equal(naive.meant, 24);
  // The other half is as good as chance has it; its figures are told, not asserted.
  t.diagnostic(`onetap ${JSON.stringify(onetap)}; read, flip, save ${JSON.stringify(naive)}`);
  // What the page says of itself is so.
  const thread = new URL(page.url()).hash.slice(1);
  const posts = [1, 2, 3].map((n) => `post_id=${thread.slice(0, -1)}${n}`).join('&');
  const truth = await (await fetch(`${service.url}/v1/posts/reactions?${posts}`)).json();
  assert.equal(truth.posts.reduce((sum, post) => sum + post.total, 0), onetap.counted);
  const wrong = await page.locator('[data-side=onetap] onetap-bar.wrong').count();
  assert.equal(wrong, 0);
  // A reload, and another window of this browser, know what was meant; and a failure stays one.
  const second = await page.context().newPage();
  await second.goto(page.url());
  await page.reload();
  for (const where of [page, second]) {
    for (const side of ['onetap', 'naive']) await settled(where, side);
    const now = await scores(where);
    assert.deepEqual(now, { onetap, naive: { ...now.naive, meant: 24, sent: naive.sent } });
    assert.equal(now.naive.verdict, naive.verdict);
  }
  // Once more takes all back, when the phones know what there is, and the other window follows.
  const pressed = page.locator('[data-side=onetap] .reaction[aria-pressed=true]');
  await until('they know', async () => (await pressed.count()) === 24, 30_000);
  await doubleTapAll(page).click();
  await ready(page);
  for (const where of [page, second]) {
    await until('all is taken back', async () => {
      const { onetap } = await scores(where);
      return onetap.verdict === '✔ 24 of 24 right' && onetap.meant === 0 && onetap.counted === 0;
    }, 60_000);
  }
});

test('a thread that was tapped elsewhere begins with what is there', async (t) => {
  const page = await open(t);
  await setSlow(page, false);
  for (const name of ['Anna', 'Ben']) await buttonOf(phone(page, 'onetap', name).locator('onetap-bar').first(), 'Like').click();
  await settled(page, 'onetap');
  const stranger = await open(t, { hash: new URL(page.url()).hash });
  await settled(stranger, 'onetap');
  assert.deepEqual((await scores(stranger)).onetap, { meant: 2, sent: 0, counted: 2, verdict: '✔ 2 of 2 right' });
  await setSlow(stranger, false);
  await buttonOf(phone(stranger, 'onetap', 'Ben').locator('onetap-bar').first(), 'Love').click();
  await until('it is counted', async () => (await scores(stranger)).onetap.verdict === '✔ 3 of 3 right');
  assert.deepEqual([page.problems, stranger.problems], [[], []]);
});

test('writes that outlive their page meet the bad network too', async (t) => {
  const page = await open(t);
  const said = await page.evaluate(async () => {
    const { phoneFetch } = await import('/demo/phones.js');
    Math.random = () => 0;
    const send = phoneFetch({ slow: true }, () => {});
    return send('/healthz', { method: 'PUT', keepalive: true }).then(() => 'answered', ({ message }) => message);
  });
  assert.equal(said, 'lost on the way there');
});

test('the naive half is not made to fail: tap by tap on a good network it is right', async (t) => {
  const page = await open(t);
  await setSlow(page, false);
  for (const name of ['Anna', 'Ben']) {
    for (const place of [0, 1, 2]) await buttonOf(phone(page, 'naive', name).locator('onetap-bar').nth(place), 'Like').click();
  }
  await settled(page, 'naive');
  const { naive } = await scores(page);
  assert.deepEqual(naive, { meant: 6, sent: 6, counted: 6, verdict: '✔ 6 of 6 right' });
});

test('the naive half fails on a double tap, and shows where', async (t) => {
  const page = await open(t);
  await setSlow(page, false);
  // The second tap behind the first one's answer, so that they cannot both read before either saves.
  await phone(page, 'naive', 'Anna').locator('onetap-bar').first().evaluate(async (bar) => {
    bar.tap('like');
    await bar.client.settled();
    bar.tap('like');
  });
  await settled(page, 'naive');
  assert.equal(await verdict(page, 'naive'), '✘ 1 of 1 wrong');
  assert.equal(await page.locator('onetap-bar.wrong').count(), 1);
  // With onetap the same double tap is one wish.
  await buttonOf(phone(page, 'onetap', 'Anna').locator('onetap-bar').first(), 'Like').dblclick({ delay: 60 });
  await settled(page, 'onetap');
  assert.deepEqual((await scores(page)).onetap, { meant: 1, sent: 1, counted: 1, verdict: '✔ 1 of 1 right' });
});

test('Anna taps, and Ben sees it, in this window and in another', async (t) => {
  const page = await open(t);
  await setSlow(page, false);
  const second = await page.getByRole('link', { name: 'open this thread in a second window' }).getAttribute('href');
  const other = await open(t, { hash: new URL(second, service.url).hash });
  await setSlow(other, false);
  await buttonOf(phone(page, 'onetap', 'Anna').locator('onetap-bar').first(), 'Love').click();
  for (const where of [page, other]) {
    const bar = phone(where, 'onetap', 'Ben').locator('onetap-bar').first();
    await buttonOf(bar, 'Love, 1').waitFor({ timeout: 5_000 });
    await until('by name', async () => (await bar.locator('.who').textContent()) === 'Anna');
  }
  assert.deepEqual([...page.problems, ...other.problems], []);
});

test('a new thread is empty, and the old one is where it was', async (t) => {
  const page = await open(t);
  await setSlow(page, false);
  const old = page.url();
  await buttonOf(phone(page, 'onetap', 'Anna').locator('onetap-bar').first(), 'Like').click();
  await settled(page, 'onetap');
  await page.getByRole('button', { name: 'New thread' }).click();
  await buttonOf(phone(page, 'onetap', 'Anna').locator('onetap-bar').first(), 'Like').and(page.locator('[aria-pressed=false]')).waitFor();
  assert.deepEqual(await scores(page).then(({ onetap }) => onetap), { meant: 0, sent: 0, counted: 0, verdict: 'No taps yet' });
  assert.notEqual(page.url(), old);
  const again = await open(t, { hash: new URL(old).hash });
  await buttonOf(phone(again, 'onetap', 'Ben').locator('onetap-bar').first(), 'Like, 1').waitFor();
});

test('without JavaScript the thread can be read', async (t) => {
  const context = await browser.newContext({ javaScriptEnabled: false });
  t.after(() => context.close());
  const page = await context.newPage();
  await page.goto(`${service.url}/demo`);
  assert.equal(await page.getByText('First loaf').count(), 4);
});
