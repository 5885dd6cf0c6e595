// <onetap-bar> for everybody: axe, light and dark, left-to-right and right-to-left, with less motion, at finger's size.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { NAMES, axe, barOf, buttonOf, openForum, reads } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

let browser, service, site;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startService()]);
  site = await startSite({ service });
});
after(() => Promise.all([browser.close(), service.stop(), site.stop()]));

async function open(t, body, { context: of, ...rest } = {}) {
  const context = await browser.newContext(of);
  t.after(() => context.close());
  return openForum(context, site, body, rest);
}

for (const colorScheme of ['light', 'dark']) {
  for (const dir of ['ltr', 'rtl']) {
    test(`axe has nothing to say (${colorScheme}, ${dir})`, async (t) => {
      const post = newPost();
      for (let user = 1; user <= 30; user += 1) await other(service, post, user);
      await other(service, post, 2, true, 'love');
      const bars = `<onetap-bar post-id="${post}" reactions="like love laugh helpful=💡 agree" user-id="1"></onetap-bar>
        <onetap-bar post-id="${newPost()}" reactions="like" readonly></onetap-bar>
        <onetap-bar post-id="${newPost()}"><form method="post"><button name="reaction" value="like" aria-label="Like, 3" aria-pressed="true"><span>👍</span><data value="3">3</data></button></form></onetap-bar>`;
      const page = await open(t, bars, { script: NAMES, dir, context: { colorScheme, reducedMotion: 'reduce' } });
      await reads(page, ['Like, 30 *', 'Love, 1']);
      assert.deepEqual(await axe(page), []);
      await barOf(page).locator('.add').click();
      await barOf(page).locator('.option').first().waitFor();
      assert.deepEqual(await axe(page), [], 'with the picker');
      await page.keyboard.press('Escape');
      await barOf(page).locator('.who').click();
      await until('a page of names', async () => (await barOf(page).locator('.user').count()) === 25);
      assert.deepEqual(await axe(page), [], 'with the list of who reacted');
    });

    test(`axe has nothing to say of the form without the script (${colorScheme}, ${dir})`, async (t) => {
      const form = `<onetap-bar post-id="${newPost()}"><form method="post">
        <button name="reaction" value="like" aria-label="Like, 3" aria-pressed="true"><span>👍</span><data value="3">3</data></button>
        <button name="reaction" value="love" aria-label="Love, 1" aria-pressed="false"><span>❤️</span><data value="1">1</data></button></form></onetap-bar>`;
      const page = await open(t, form, { script: null, dir, context: { colorScheme } });
      assert.deepEqual(await axe(page), []);
    });
  }
}

test('axe would have something to say', async (t) => {
  const page = await open(t, '<button></button>', { script: null });
  assert.match((await axe(page)).join(), /button-name/);
});

test('dark is dark: the colours follow the page', async (t) => {
  const colours = {};
  for (const colorScheme of ['light', 'dark']) {
    const page = await open(t, `<onetap-bar post-id="${newPost()}"></onetap-bar>`, { context: { colorScheme } });
    await reads(page, ['Like']);
    colours[colorScheme] = await buttonOf(barOf(page), 'Like').evaluate((button) => getComputedStyle(button).backgroundColor);
  }
  assert.deepEqual(colours, { light: 'rgb(241, 245, 249)', dark: 'rgb(30, 41, 59)' });
});

test('who wants less motion gets none', async (t) => {
  for (const [reducedMotion, moves] of [['no-preference', true], ['reduce', false]]) {
    const page = await open(t, `<onetap-bar post-id="${newPost()}" user-id="1"></onetap-bar>`, { context: { reducedMotion } });
    await reads(page, ['Like']);
    // Seen from within the page: the animation may be over before a question from outside arrives.
    await barOf(page).evaluate(({ shadowRoot }) => {
      globalThis.seen = new Promise((resolve) => {
        new MutationObserver(() => {
          const picture = shadowRoot.querySelector('.pop .picture');
          if (picture) resolve(getComputedStyle(picture).animationName);
        }).observe(shadowRoot, { subtree: true, childList: true, attributes: true });
      });
    });
    await buttonOf(barOf(page), 'Like').click();
    // While the answer is awaited, a delayed change of opacity may stand there: that is no motion.
    assert.equal((await page.evaluate(() => globalThis.seen)) === 'pop', moves);
  }
});

test('under a finger every button has 44 pixels', async (t) => {
  const page = await open(t, `<onetap-bar post-id="${newPost()}" reactions="like love"></onetap-bar>`, { context: { hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } } });
  await reads(page, ['Like']);
  for (const button of await barOf(page).locator('.reaction, .add').all()) {
    const { width, height } = await button.boundingBox();
    assert.ok(width >= 44 && height >= 44, `${width} × ${height}`);
  }
});

test('parts and variables theme it', async (t) => {
  const post = newPost();
  await other(service, post, 1);
  const head = '<style>onetap-bar { --onetap-accent: rgb(1, 2, 3); --onetap-radius: 5px; --onetap-size: 50px } onetap-bar::part(add) { background: rgb(9, 9, 9) } onetap-bar::part(pressed) { letter-spacing: 3px } onetap-bar::part(reaction-like) { opacity: .5 }</style>';
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like love" user-id="1"></onetap-bar>`, { head });
  await reads(page, ['Like, 1 *']);
  const style = (selector) => barOf(page).locator(selector).evaluate((element) => {
    const { color, borderRadius, height, backgroundColor, letterSpacing, opacity } = getComputedStyle(element);
    return { color, borderRadius, height, backgroundColor, letterSpacing, opacity };
  });
  const like = await style('.reaction');
  assert.deepEqual([like.color, like.borderRadius, like.height, like.letterSpacing, like.opacity], ['rgb(1, 2, 3)', '5px', '50px', '3px', '0.5']);
  assert.equal((await style('.add')).backgroundColor, 'rgb(9, 9, 9)');
});
