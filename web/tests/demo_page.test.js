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
const figure = async (page, side, name) => {
  const text = await page.locator(`[data-score=${side}] [data-figure=${name}]`).textContent();
  return text === '–' ? text : Number(text);
};
const verdict = (page, side) => page.locator(`[data-score=${side}] .verdict`).textContent();
const scores = async (page) => Object.fromEntries(await Promise.all(['onetap', 'naive'].map(async (side) =>
  [side, { meant: await figure(page, side, 'meant'), sent: await figure(page, side, 'sent'), counted: await figure(page, side, 'counted'), verdict: await verdict(page, side) }])));
const tapAll = (page) => page.getByRole('button', { name: 'Tap all 24', exact: true });
const doubleTapAll = (page) => page.getByRole('button', { name: 'Double-tap all 24' });
/** Waits until the button may be pressed again. */
const ready = (page) => doubleTapAll(page).and(page.locator('[aria-disabled=false]')).waitFor();
const setSlow = (page, slow) => page.getByRole('switch').setChecked(slow);

/**
 * The page's verdict on the other half after a double tap of all 24. On a busy machine the second tap may come too late. The
 * page then leaves it out, and judges the first.
 */
function flipped(verdict) {
  const found = /^(?:✔ (\d+) of \1 right; |✘ \d+ of (\d+) wrong; |Tapped )twice: (\d+) on, (\d+) off$/.exec(verdict);
  assert.ok(found, verdict);
  const [judged, on, off] = [found[1] ?? found[2] ?? 0, found[3], found[4]].map(Number);
  assert.equal(judged + on + off, 24, verdict);
  return { judged, on, off };
}

/** The score once nothing is on its way any more. */
async function settled(page, side, ms = 60_000) {
  return until(`${side} is settled`, async () => /\d/.test(await verdict(page, side)), ms);
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

const SCREENS = [[1280, 900], [1024, 768], [768, 1024, true], [390, 844], [360, 740, true], [320, 640, true]];
for (const [width, height, hasTouch = false] of SCREENS) {
  test(`nothing moves while it loads (${width} px${hasTouch ? ', touched' : ''})`, async (t) => {
    const page = await open(t, { viewport: { width, height }, hasTouch, isMobile: hasTouch });
    await page.waitForTimeout(500);
    assert.equal(await page.evaluate(() => shift), 0);
  });

  test(`nothing moves while it is tapped, and the posts of the phones are level (${width} px${hasTouch ? ', touched' : ''})`, async (t) => {
    const page = await open(t, { viewport: { width, height }, hasTouch, isMobile: hasTouch });
    await setSlow(page, false);
    const places = () => page.evaluate(() => {
      const inside = [...document.querySelectorAll('onetap-bar')].flatMap((bar) => [...bar.shadowRoot.querySelectorAll('.reaction, .add, .who')]);
      return [...document.querySelectorAll('.controls > *, .scores, .score, .side, .phone, li, footer'), ...inside].map((element) => {
        const { x, y, width, height } = element.getBoundingClientRect();
        return `${element.className} ${[x, y + scrollY, width, height].map((n) => n.toFixed(1))}`;
      });
    });
    const before = await places();
    await page.evaluate(() => {
      globalThis.shift = 0;
      document.querySelector('[data-do=twice]').click();
    });
    await until('it is under way', async () => (await verdict(page, 'naive')) === 'On its way …');
    // Those that are pressed have another class, the sticky board stays: only places count.
    const place = (text) => text.replace(/^.* /, '');
    for (let looks = 0; !(await tapAll(page).and(page.locator('[aria-disabled=false]')).count()); looks += 1) {
      assert.deepEqual((await places()).map(place), before.map(place), `look ${looks}`);
      await page.waitForTimeout(100);
    }
    for (const side of ['onetap', 'naive']) await settled(page, side);
    assert.deepEqual((await places()).map(place), before.map(place), 'in the end');
    assert.equal(await page.evaluate(() => shift), 0);
    // One more reaction has its place, too.
    await phone(page, 'onetap', 'Anna').locator('onetap-bar').nth(1).evaluate((bar) => bar.tap('wow'));
    await buttonOf(phone(page, 'onetap', 'Ben').locator('onetap-bar').nth(1), 'Wow, 1').waitFor();
    const items = (await places()).filter((text) => text.startsWith(' '));
    assert.deepEqual(items, before.filter((text) => text.startsWith(' ')), 'posts and footer stay');
    // Whatever makes one post longer, the same post of every phone beside it begins where it does.
    await page.evaluate(() => { document.querySelector('[data-side=naive] li p + p').textContent += ' And the smell of it.'.repeat(5); });
    const tops = await page.evaluate(() => ['onetap', 'naive'].map((side) => [...document.querySelectorAll(`[data-side=${side}] .phone`)].map((phone) =>
      [...phone.querySelectorAll('li')].map((post) => Math.round(post.getBoundingClientRect().top + scrollY)))));
    assert.deepEqual(tops[0][0], tops[0][1]);
    assert.deepEqual(tops[1][0], tops[1][1]);
    if (width > 960) assert.deepEqual(tops[0], tops[1]);
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
  // The other half has got the same, and what that means there is nobody's to say.
  const { judged, on } = flipped(naive.verdict);
  if (!judged) {
    assert.deepEqual([naive.meant, naive.counted], ['–', on]);
    assert.equal(await page.locator('[data-score=naive] :is(.right, .wrong)').count(), 0, 'not judged');
  }
  // The other half depends on chance, so the test prints its figures and asserts nothing.
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
    assert.deepEqual(now, { onetap, naive: { ...now.naive, meant: naive.meant, sent: naive.sent } });
    assert.equal(now.naive.verdict, naive.verdict);
  }
});

test('each press begins anew', async (t) => {
  const page = await open(t);
  await setSlow(page, false);
  const threads = [page.url()];
  for (const press of [tapAll, tapAll, doubleTapAll]) {
    await press(page).click();
    await ready(page);
    for (const side of ['onetap', 'naive']) await settled(page, side);
    const { onetap, naive } = await scores(page);
    assert.deepEqual({ ...onetap, sent: 0 }, { meant: 24, sent: 0, counted: 24, verdict: '✔ 24 of 24 right' });
    if (press === tapAll) assert.deepEqual(naive, { meant: 24, sent: 24, counted: 24, verdict: '✔ 24 of 24 right' });
    else flipped(naive.verdict);
    threads.push(page.url());
  }
  assert.equal(threads[0], threads[1], 'an unused thread is used');
  assert.equal(new Set(threads.slice(1)).size, 3);
  // A thread that another window has used is used.
  const other = await open(t, { hash: new URL(threads[1]).hash });
  await tapAll(other).click();
  await ready(other);
  assert.notEqual(other.url(), threads[1]);
});

test('one tap each on a bad network: with onetap all are right; the other half is judged as well', async (t) => {
  const page = await open(t);
  await tapAll(page).click();
  for (const side of ['onetap', 'naive']) await settled(page, side);
  const { onetap, naive } = await scores(page);
  assert.deepEqual({ ...onetap, sent: 0 }, { meant: 24, sent: 0, counted: 24, verdict: '✔ 24 of 24 right' });
  assert.equal(naive.meant, 24);
  assert.match(naive.verdict, /^(✔ 24|✘ \d+) of 24 (right|wrong)$/);
  t.diagnostic(`onetap ${JSON.stringify(onetap)}; read, flip, save ${JSON.stringify(naive)}`);
});

test('nothing is judged before the service has answered', async (t) => {
  const page = await open(t);
  await setSlow(page, false);
  await page.route('**/users/1', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await route.continue();
  });
  await page.evaluate(() => {
    const verdict = document.querySelector('[data-score=onetap] [data-figure=verdict]');
    globalThis.verdicts = [];
    new MutationObserver(() => verdicts.push(verdict.textContent)).observe(verdict, { childList: true, characterData: true });
  });
  await buttonOf(phone(page, 'onetap', 'Anna').locator('onetap-bar').first(), 'Like').click();
  await settled(page, 'onetap');
  assert.deepEqual(await page.evaluate(() => verdicts), ['On its way …', '✔ 1 of 1 right']);
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

test('the naive half fails when a tap arrives twice, and shows where', async (t) => {
  const page = await open(t);
  await phone(page, 'naive', 'Anna').locator('onetap-bar').first().evaluate((bar) => {
    // Doubled; the twin at once, the tap itself 0.4 s later, and not lost.
    const next = [0, 0];
    Math.random = () => next.shift() ?? 0.5;
    bar.tap('like');
  });
  await settled(page, 'naive');
  assert.deepEqual((await scores(page)).naive, { meant: 1, sent: 2, counted: 0, verdict: '✘ 1 of 1 wrong' });
  assert.equal(await page.locator('onetap-bar.wrong').count(), 1);
});

test('a double tap on a good network: a toggle flips twice and is not judged, a tap later it is', async (t) => {
  const page = await open(t);
  await setSlow(page, false);
  // The second tap behind the first one's answer, so that they cannot both read before either saves.
  const bar = phone(page, 'naive', 'Anna').locator('onetap-bar').first();
  // The clock of the page stands still, because on a busy machine the second tap may come late.
  await bar.evaluate(async (bar) => {
    const now = performance.now();
    performance.now = () => now;
    bar.tap('like');
    await bar.client.settled();
    bar.tap('like');
    delete performance.now;
  });
  await settled(page, 'naive');
  assert.deepEqual((await scores(page)).naive, { meant: '–', sent: 2, counted: 0, verdict: 'Tapped twice: 0 on, 1 off' });
  assert.equal(await page.locator('onetap-bar.wrong').count(), 0);
  await buttonOf(phone(page, 'naive', 'Ben').locator('onetap-bar').first(), 'Like').click();
  await until('both are told', async () => (await verdict(page, 'naive')) === '✔ 1 of 1 right; twice: 0 on, 1 off');
  await page.waitForTimeout(400);
  await buttonOf(bar, 'Like').click();
  await until('it is judged', async () => (await verdict(page, 'naive')) === '✔ 2 of 2 right');
  // With onetap the same double tap is one wish.
  await phone(page, 'onetap', 'Anna').locator('onetap-bar').first().evaluate(async (bar) => {
    const now = performance.now();
    performance.now = () => now;
    bar.tap('like');
    await new Promise((resolve) => setTimeout(resolve, 60));
    bar.tap('like');
    delete performance.now;
  });
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
