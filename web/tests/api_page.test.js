// The API page at /docs/: all of it is readable on a phone, and asks nobody but the service.

import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { after, before, test } from 'node:test';

import { axe } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { startService, until } from './support/service.js';

const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
const METHODS = ['get', 'put', 'post', 'delete', 'patch'];

let browser, service, paths;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startService()]);
  ({ paths } = await (await fetch(`${service.url}/openapi.json`)).json());
});
after(() => Promise.all([browser.close(), service.stop()]));

/** Every call of the document, as `get /v1/…`. */
const calls = () =>
  Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => `${method} ${path}`),
  );

/** Opens it. What the browser complains of is in `page.problems`, what it asked for in `page.asked`. */
async function open(t, { hash = '', ...options } = {}) {
  const context = await browser.newContext({ ...PHONE, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  Object.assign(page, { problems: [], asked: [] });
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && page.problems.push(message.text()));
  page.on('request', (request) => page.asked.push(request.url()));
  await page.goto(`${service.url}/docs/${hash}`);
  await page.locator('main details').first().waitFor();
  return page;
}

const callOf = (page, id) => page.locator(`details[id="${id}"]`);

/** Opens every call, and what is folded in it. */
const unfold = (page) =>
  page.evaluate(async () => {
    for (let shut; (shut = document.querySelector('details:not([open])')); ) {
      for (const one of document.querySelectorAll('details:not([open])')) one.open = true;
      await new Promise((done) => setTimeout(done, 50));
    }
  });

/** Visible elements with text of their own, as the page shows them. */
const texts = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('body *')]
      .filter((element) => element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
      .map((element) => ({
        text: element.textContent.trim().slice(0, 40),
        size: parseFloat(getComputedStyle(element).fontSize),
        right: element.getBoundingClientRect().right,
      })));

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 1280]) {
    test(`all of it is readable, unfolded too (${width} px, ${colorScheme})`, async (t) => {
      const viewport = { width, height: 740 };
      const page = await open(t, { colorScheme, viewport, isMobile: width < 800 });
      assert.deepEqual(await axe(page), []);
      await unfold(page);
      const all = await texts(page);
      assert.ok(all.length > 300, `only ${all.length} texts`);
      assert.deepEqual(all.filter(({ size }) => size < 14), [], 'too small');
      assert.deepEqual(all.filter(({ right }) => right > width), [], 'sticks out');
      const wide = await page.evaluate(() => [document.scrollingElement.scrollWidth, innerWidth]);
      assert.deepEqual(wide, [width, width], 'it scrolls sideways');
      assert.deepEqual(await axe(page), []);
      assert.deepEqual(page.problems, []);
    });
  }
}

test('every call can be reached by thumb', async (t) => {
  const page = await open(t);
  const links = page.getByRole('navigation').getByRole('link');
  const linked = await links.evaluateAll((all) => all.map((link) => link.textContent));
  const wanted = calls().map((call) => call.replace(/^\S+/, (method) => method.toUpperCase()));
  assert.deepEqual(linked.toSorted(), wanted.toSorted());
  for (let place = 0; place < linked.length; place += 1) {
    const { height } = await links.nth(place).boundingBox();
    assert.ok(height >= 44, `${linked[place]} is ${height} px high`);
    await links.nth(place).tap();
    const id = decodeURIComponent(new URL(page.url()).hash.slice(1));
    const call = callOf(page, id);
    await call.getByRole('button', { name: 'Send' }).waitFor();
    assert.ok((await call.locator('summary').first().boundingBox()).y >= 0);
    await page.goBack();
  }
});

test('an address with a call opens it', async (t) => {
  const page = await open(t, { hash: '#get/v1/posts/post_id/reactions' });
  await callOf(page, 'get/v1/posts/post_id/reactions').getByText('Parameters').waitFor();
});

test('a call is tried on the page, and its answer shown', async (t) => {
  const page = await open(t);
  const send = async (id, fill = {}) => {
    const call = callOf(page, id);
    if (!(await call.evaluate((details) => details.open))) await call.locator('summary').first().tap();
    for (const [name, value] of Object.entries(fill)) await call.getByLabel(name).fill(value);
    await call.getByRole('button', { name: 'Send' }).tap();
    const answer = call.getByRole('status');
    return until('an answer', async () => {
      const text = await answer.innerText();
      return text && !text.startsWith('Sending') && text;
    });
  };
  const set = 'put/v1/posts/post_id/reactions/reaction/users/user_id';
  const tapped = await send(set, { 'user_id (path)': '7', 'reaction (path)': '👍' });
  assert.match(tapped, /^201 .*"active": true/s);
  const read = await send('get/v1/posts/post_id/reactions', { 'user_id (query)': '7' });
  assert.match(read, /^200 .*"count": 1,\s+"mine": true/s);
  assert.match(await send(set, { 'user_id (path)': '0' }), /^400 .*invalid_user_id/s);
  // A list, and a body.
  assert.match(await send('post/v1/posts/reactions/query'), /^200 .*"posts": \[/s);
  // A stream goes on; its beginning is shown.
  assert.match(await send('get/v1/posts/reactions/stream'), /^200 .*event: summary/s);
  assert.deepEqual(page.problems.filter((text) => !text.includes('400')), []);
});

test('it asks nobody but the service, and little of it', async (t) => {
  const page = await open(t);
  assert.deepEqual(
    page.asked.map((url) => url.replace(service.url, '')).filter((url) => !url.startsWith('data:')).toSorted(),
    ['/docs/', '/docs/docs.css', '/docs/docs.js', '/openapi.json'],
  );
  let bytes = 0;
  for (const path of ['/docs/', '/docs/docs.css', '/docs/docs.js', '/openapi.json']) {
    const answer = await fetch(service.url + path, { headers: { 'Accept-Encoding': 'gzip' } });
    assert.equal(answer.headers.get('content-encoding'), 'gzip', path);
    bytes += gzipSync(await answer.text()).length;
  }
  assert.ok(bytes < 32_768, `${bytes} bytes`);
});
