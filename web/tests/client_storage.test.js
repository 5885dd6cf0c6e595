// The browser's storage that wishes are kept in: damaged, full, blocked, and how much is put there.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { showsIn, shownIn, startBrowser } from './support/browser.js';
import { kept, place, refused, told, wish } from './support/outbox.js';
import { held, newPost } from './support/posts.js';
import { startService, until } from './support/service.js';

let browser, service;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startService()]);
});
after(() => Promise.all([browser.close(), service.stop()]));

test('what is damaged in storage is thrown away, what is somebody else’s is left alone', async (t) => {
  const { site, post, open, methods } = await place(t, browser, service);
  const page = await open();
  await page.evaluate(
    ([url, post]) => {
      const mine = `onetap-outbox ${url}/ 1 `;
      const good = { reaction: 'love', active: true, n: 1, made: Date.now() };
      const put = (name, value) => localStorage.setItem(mine + name, value);
      const texts = ['', 'null', '7', '"x"', '[]', '{', '{}', '\0', 'x'.repeat(10_000)];
      const fields = Object.entries({
        reaction: [7, undefined, null, '', '..', {}],
        active: [1, undefined, 'true'],
        n: ['x', 0, -1, undefined],
        made: [null, {}, 'soon'],
      }).flatMap(([name, values]) => values.map((value) => ({ ...good, [name]: value })));
      for (const [i, text] of [...texts, ...fields.map((wish) => JSON.stringify(wish))].entries())
        put(`${post} ${i + 10}`, text);
      const names = ['', post, `${post} `, `${post} a\r\nX: y`, `../x 1`, `${post} é`, `${post}  1`];
      for (const name of names) put(name, JSON.stringify(good));
      localStorage.setItem('onetap', '{');
      localStorage.setItem(`onetap-outbox ${url}/ 2 ${post} 1`, '{');
      localStorage.setItem('theirs', '{');
      put(`${post} 5`, JSON.stringify({ ...good, served: 'soon', extra: [1] }));
    },
    [site.url, post],
  );
  await page.reload();
  const next = await open();
  await showsIn(next, post, { count: 1, mine: true, pending: false }, 'love');
  await until('the good one is answered', async () => (await kept(next)).length === 1);
  assert.deepEqual(methods(), ['PUT']);
  const left = await next.evaluate(() => Object.keys(localStorage).sort());
  assert.deepEqual(left, ['onetap', `onetap-outbox ${site.url}/ 2 ${post} 1`, 'theirs']);
  assert.deepEqual([next.problems, await told(next)], [[], []]);
});

for (const [what, spoil] of Object.entries({
  full: () => {
    for (let size = 1 << 20; size; size >>= 1) {
      try {
        for (let i = 0; ; i += 1) localStorage.setItem(`fill ${size} ${i}`, 'x'.repeat(size));
      } catch {
        // Full for this size.
      }
    }
  },
  blocked: () =>
    Object.defineProperty(globalThis, 'localStorage', {
      get() {
        throw new DOMException('not here', 'SecurityError');
      },
    }),
})) {
  test(`with storage that is ${what} a wish lives as long as its page`, async (t) => {
    const { context, post, open, cut, mend } = await place(t, browser, service);
    await context.addInitScript(spoil);
    const page = await open();
    await showsIn(page, post, {});
    cut();
    await wish(page, post, true);
    await refused(page);
    assert.deepEqual(await shownIn(page, post), { count: 1, mine: true, pending: true });
    mend();
    await page.evaluate(() => client.settled());
    assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
    assert.deepEqual(page.problems, []);
  });
}

test('a page keeps a hundred at most, and sends the others all the same', async (t) => {
  const { open, cut, mend } = await place(t, browser, service);
  const posts = Array.from({ length: 120 }, newPost);
  const page = await open({}, []);
  cut();
  await page.evaluate((posts) => posts.forEach((post) => client.wish(post, 'like', true)), posts);
  assert.equal((await kept(page)).length, 100);
  mend();
  await page.evaluate(() => client.settled());
  for (const post of posts) assert.ok((await held(service, post, 1)).mine);
  assert.deepEqual(await kept(page), []);
});

test('without an outbox nothing is written', async (t) => {
  const { post, open, cut } = await place(t, browser, service);
  const page = await open({ outbox: false });
  cut();
  await wish(page, post, true);
  assert.deepEqual(await kept(page), []);
});
