// <onetap-bar> in pages as they are: with strict policies, odd languages, two copies of the module, none of the DOM, and
// names that turn the line around.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { barOf, buttonOf, openForum, reads, spoken } from './support/bars.js';
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

async function newContext(t, options) {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  t.after(() => (site.faults = () => undefined));
  return context;
}

const open = async (t, body, options = {}) => openForum(await newContext(t, options.context), site, body, options);

/** A page with nothing inline, under a policy of its own. */
async function openStrict(t, policy, body, script = '') {
  const page = await (await newContext(t)).newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => message.type() !== 'log' && page.problems.push(message.text()));
  const html = { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': policy };
  site.faults = ({ path }) => {
    if (path === '/strict/page') {
      return { answer: { status: 200, headers: html, body: `<!doctype html><html lang="en"><title>Strict</title>
        <link rel="stylesheet" href="/onetap-bar.css"><script type="module" nonce="abc" src="/strict/own/it.js"></script>${body}` } };
    }
    if (path !== '/strict/own/it.js') return undefined;
    return { answer: { status: 200, headers: { 'Content-Type': 'text/javascript' }, body: `import { OnetapBar } from '/onetap-bar.js';
      addEventListener('securitypolicyviolation', ({ violatedDirective, sample }) => console.error('violates ' + violatedDirective + ' ' + sample));
      ${script}` } };
  };
  await page.goto(`${site.url}/strict/page`);
  return page;
}

const STRICT = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'";
for (const trusted of ['', "; require-trusted-types-for 'script'", "; require-trusted-types-for 'script'; trusted-types 'none'"]) {
  test(`under a strict policy all of it works${trusted}`, async (t) => {
    const post = newPost();
    for (const user of [2, 3]) await other(service, post, user, true, 'love');
    const page = await openStrict(t, STRICT + trusted, `<onetap-bar post-id="${post}" user-id="1" reactions="like love parrot laugh"></onetap-bar>`, `
      OnetapBar.resolveUsers = (ids) => ids.map((id) => ({ id, name: 'User ' + id }));
      OnetapBar.resolveReaction = (reaction) => reaction === 'parrot' ? { url: 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=' } : undefined;`);
    await reads(page, ['Like', 'Love, 2']);
    const bar = barOf(page);
    await buttonOf(bar, 'Like').click();
    await until('it is counted', async () => (await held(service, post, 1)).mine);
    await bar.locator('.add').click();
    await bar.locator('.option img').waitFor();
    await bar.locator('.option').nth(2).click();
    await until('it is counted', async () => (await held(service, post, 1, 'parrot')).mine);
    await buttonOf(bar, 'Love').hover();
    await bar.locator('.card').waitFor();
    await bar.locator('.who').click();
    await until('all of them', async () => (await bar.locator('.user').count()) === 3);
    await page.keyboard.press('Escape');
    assert.deepEqual(page.problems, []);
  });
}

for (const scripts of ["'nonce-abc'", "'nonce-abc' 'strict-dynamic'"]) {
  test(`scripts named by a nonce load their parts: ${scripts}`, async (t) => {
    const post = newPost();
    await other(service, post, 2);
    const page = await openStrict(t, `default-src 'none'; script-src ${scripts}; style-src 'self'; connect-src 'self'`, `<onetap-bar post-id="${post}" reactions="like love"></onetap-bar>`);
    await reads(page, ['Like, 1']);
    await barOf(page).locator('.add').click();
    await barOf(page).locator('.option').first().waitFor();
    await page.keyboard.press('Escape');
    await barOf(page).locator('.who').click();
    await barOf(page).locator('.user').waitFor();
    assert.deepEqual(page.problems, []);
  });
}

test('such a policy is one: the same page hears of what is forbidden', async (t) => {
  const page = await openStrict(t, `${STRICT}; require-trusted-types-for 'script'; trusted-types 'none'`, '<p></p>', "document.querySelector('p').innerHTML = '<b>';");
  await until('it is refused', () => page.problems.some((text) => text.includes('require-trusted-types-for')));
});

const NOT_LANGUAGES = ['en_US', 'pt_BR', 'zh_CN', 'de-', 'x', 'c', 'auto', 'i-klingon', 'en-US@posix', '{{ lang }}', '', ' '];
test('a lang that is no language is as good as none', async (t) => {
  const post = newPost();
  for (let user = 1; user <= 3; user += 1) await other(service, post, user);
  const page = await open(t, NOT_LANGUAGES.map((lang) => `<div lang="${lang}"><onetap-bar post-id="${post}" reactions="like love"></onetap-bar></div>`).join(''));
  for (const [place, lang] of NOT_LANGUAGES.entries()) {
    await reads(page, ['Like, 3'], place);
    assert.equal(await barOf(page, place).locator('.count').textContent(), '3', lang);
    await barOf(page, place).locator('.who').click();
    await until(`the list, ${lang}`, async () => (await barOf(page, place).locator('.user time').count()) === 3);
    await page.keyboard.press('Escape');
  }
  assert.deepEqual(page.problems, []);
});

test('other attributes that cannot be meant do no harm either', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const summaries = [{}, { reactions: 3 }, { reactions: [null] }, { reactions: [{ reaction: 7, count: 1 }] }, { reactions: [{ reaction: 'like', count: 'many' }] }];
  const page = await open(t, [
    `<onetap-bar post-id="${post}" quick="many" recent="some"></onetap-bar>`, `<onetap-bar post-id="${post}" quick="-1" recent="1e9"></onetap-bar>`,
    `<onetap-bar post-id="${post}" reactions="= =x like"></onetap-bar>`,
    ...summaries.map((summary) => `<onetap-bar post-id="${post}" summary='${JSON.stringify({ post_id: post, revision: 9e15, ...summary })}'></onetap-bar>`),
    `<onetap-bar post-id="${post}"><form><button name="reaction" value=""></button><button name="reaction" value="like"><data value="some">some</data></button></form></onetap-bar>`,
  ].join(''));
  for (let place = 0; place < 9; place += 1) await reads(page, ['Like, 1'], place);
  assert.deepEqual(page.problems, []);
});

test('a reaction with the name of what every object has is a reaction', async (t) => {
  const post = newPost();
  await other(service, post, 2, true, 'constructor');
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like constructor ❤️" quick="3"></onetap-bar>`, { script: "OnetapBar.labels['\u2764'] = 'Heart';" });
  await reads(page, ['Like', 'Constructor, 1', 'Heart']);
  assert.deepEqual(await barOf(page).locator('.picture').allTextContents(), ['👍', 'Constructor', '❤️']);
});

test('the language is found through the shadow roots around', async (t) => {
  const post = newPost();
  site.faults = ({ path }) => (path.includes('stream') ? { hold: 60_000 } : { answer: { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ posts: [{ post_id: post, revision: 5, total: 1234567, locked: false, reactions: [{ reaction: 'like', count: 1234567, mine: false }] }] }) } });
  const page = await open(t, '<div id="outer"></div><section lang="ja"><div id="inner"></div></section>', { language: 'de', script: `
    for (const id of ['outer', 'inner']) {
      const root = document.getElementById(id).attachShadow({ mode: 'closed' });
      const nested = root.appendChild(document.createElement('div')).attachShadow({ mode: 'open' });
      nested.innerHTML = '<onetap-bar post-id="${post}"></onetap-bar>';
      globalThis[id + 'Bar'] = nested.firstChild;
    }` });
  const shown = (name) => page.evaluate((name) => globalThis[name].shadowRoot.querySelector('.count')?.textContent, name);
  await until('it is known', async () => (await shown('outerBar')) && (await shown('innerBar')));
  assert.deepEqual([await shown('outerBar'), await shown('innerBar')], ['1,2\u00a0Mio.', '123万']);
});

test('a second copy of the module, by another address, is the same element', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like love" user-id="1"></onetap-bar>`, { script: `
    const second = await import('/onetap-bar.js?v=2');
    globalThis.same = second.OnetapBar === OnetapBar;
    second.OnetapBar.resolveUsers = (ids) => ids.map((id) => ({ id, name: 'User no. ' + id }));
    const { Onetap: Second } = await import('/onetap.js?v=2');
    second.OnetapBar.client = new Second({ userId: 1, recent: 3 });` });
  assert.equal(await page.evaluate(() => same), true);
  await reads(page, ['Like, 1']);
  await buttonOf(barOf(page), 'Like').click();
  await until('it is counted', async () => (await held(service, post, 1)).mine);
  await until('what is set on either is heard', async () => (await barOf(page).locator('.who').textContent()) === 'You and User no. 2');
  assert.deepEqual(page.problems, []);
});

test('loaded with a version, it finds its parts', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like love" user-id="1"></onetap-bar>`, { script: null });
  await page.evaluate(() => import('/onetap-bar.js?v=1.2#x').then(() => {}));
  await reads(page, ['Like, 1']);
  await barOf(page).locator('.add').click();
  await barOf(page).locator('.option').nth(1).click();
  await reads(page, ['Like, 1', 'Love, 1 *']);
  await barOf(page).locator('.who').click();
  await barOf(page).getByText('User 2').waitFor();
  assert.deepEqual(page.problems, []);
});

test('imported without a DOM nothing happens, and the process ends', async () => {
  for (const file of ['onetap-bar.js', 'onetap.js', 'onetap-card.js', 'onetap-dialog.js', 'onetap-images.js', 'onetap-picker.js']) {
    const address = new URL(`../dist/${file}`, import.meta.url);
    const code = `const names = Object.keys(await import(${JSON.stringify(address.href)})); await import(${JSON.stringify(`${address.href}?v=2`)}); console.log(names.length > 0)`;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], { cwd: fileURLToPath(new URL('..', import.meta.url)), timeout: 20_000 });
    assert.deepEqual([stdout, stderr.replace(/\(node:\d+\) \[MODULE_TYPELESS.*\n.*\n.*\n/, '')], ['true\n', ''], file);
  }
});

/** Where each character of an element's text is seen, from left to right, line by line. */
const seen = (locator) => locator.evaluate((element) => {
  const characters = [];
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (let i = 0; i < node.data.length; i += 1) {
      const range = document.createRange();
      range.setStart(node, i);
      range.setEnd(node, i + 1);
      const { left, top, width } = range.getBoundingClientRect();
      if (width) characters.push({ left, top, character: node.data[i] });
    }
  }
  return characters.sort((a, b) => a.top - b.top || a.left - b.left).map(({ character }) => character).join('').replace(/\s+/g, ' ').trim();
});

const HEBREW = ['\u05d0\u05d1\u05d2', '\u05d3\u05d4\u05d5'];
const mirrored = (text) => [...text].reverse().join('');
for (const [what, names, line] of [
  ['an override', ['Anna', 'B\u202eob'], 'Anna, Bob and 2 others'],
  ['an end of what isolates', ['Anna', 'B\u2069\u202eob'], 'Anna, Bob and 2 others'],
  ['a new paragraph', ['Anna', 'B\u2029\u2067ob'], 'Anna, Bob and 2 others'],
  ['another script', HEBREW, `${mirrored(HEBREW[0])}, ${mirrored(HEBREW[1])} and 2 others`],
]) {
  test(`a name turns nothing around but itself: ${what}`, async (t) => {
    const post = newPost();
    for (const user of [4, 3, 2, 1]) await other(service, post, user);
    const page = await open(t, `<onetap-bar post-id="${post}" reactions="like love"></onetap-bar>`, { script: `
      const names = ${JSON.stringify(names)};
      OnetapBar.resolveUsers = (ids) => ids.filter((id) => names[id - 1]).map((id) => ({ id, name: names[id - 1], url: '/u/' + id }));` });
    const bar = barOf(page);
    await until('the names are there', async () => (await bar.locator('.who').textContent()).includes('2 others'));
    assert.equal(await seen(bar.locator('.who')), line);
    assert.equal(await bar.locator('.who bdi').count(), 2);

    // In plain text, direction marks stand around each name, and none within it.
    const description = await buttonOf(bar, 'Like').evaluate((button) => button.getAttribute('aria-description'));
    assert.match(description, /^\u2068[^\u2066-\u2069\u202a-\u202e]+\u2069, \u2068[^\u2066-\u2069\u202a-\u202e]+\u2069 and 2 others$/);

    await buttonOf(bar, 'Like').hover();
    // The card changes when the page knows more names.
    await until('the card', async () => (await seen(bar.locator('.card-names'))) === line);

    await bar.locator('.who').click();
    await until('the list', async () => (await bar.locator('.user').count()) === 4);
    assert.equal(await bar.locator('.user .name > bdi').count(), 4);
    for (const [place, name] of names.entries()) {
      const clean = name.replace(/[\u2029\u202e\u2067\u2069]/g, '');
      assert.equal(await seen(bar.locator('.user .name').nth(place)), HEBREW.includes(name) ? mirrored(clean) : clean);
    }
  });
}

test('a label of another script turns no sentence around that is said', async (t) => {
  const page = await open(t, `<onetap-bar post-id="${newPost()}" user-id="1"></onetap-bar>`, { script: `OnetapBar.labels.like = '${HEBREW[0]}\u202e';` });
  await barOf(page).locator('.reaction').waitFor();
  await barOf(page).locator('.reaction').click();
  await until('it is said', async () => (await spoken(page)) === `${HEBREW[0]} added, 1 in all`);
  assert.equal(await barOf(page).locator('.spoken bdi').textContent(), HEBREW[0]);
});

for (const name of ['dialog', 'picker', 'card']) {
  test(`without the file of the ${name} the rest goes on, and it is asked for again`, async (t) => {
    const post = newPost();
    await other(service, post, 2);
    let down = true;
    const context = await newContext(t);
    await context.route(`**/onetap-${name}.js*`, (route) => (down ? route.fulfill({ status: 502, body: '' }) : route.continue()));
    const page = await openForum(context, site, `<onetap-bar post-id="${post}" reactions="like love" user-id="1"></onetap-bar>`);
    await reads(page, ['Like, 1']);
    const bar = barOf(page);
    const press = { dialog: () => bar.locator('.who').click(), picker: () => bar.locator('.add').click(), card: () => bar.locator('.reaction').hover() }[name];
    const comes = { dialog: bar.locator('.user').first(), picker: bar.locator('.option').first(), card: bar.locator('.card') }[name];
    await press();
    if (name === 'card') await until('the console says so', () => page.warnings.some((text) => text.includes('card')));
    else {
      await bar.getByText('This could not be loaded; try again').first().waitFor();
      assert.equal(await spoken(page), 'This could not be loaded; try again');
      await bar.getByRole('button', { name: 'Close' }).click();
      assert.equal(await bar.locator('.problem').isVisible(), false, 'dismissed');
      await page.mouse.move(0, 0);
      await press();
      await until('it is shown again', () => bar.locator('.problem').isVisible());
    }
    await buttonOf(bar, 'Like').click();
    await until('a tap is counted', async () => (await held(service, post, 1)).mine);
    down = false;
    await page.mouse.move(0, 0);
    await press();
    await comes.waitFor();
    assert.equal(await bar.locator('.problem').isVisible(), false);
    assert.deepEqual(page.problems, []);
  });
}

test('a file that never comes is given up, said, and asked for by another address', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const context = await newContext(t);
  const asked = [];
  await context.route('**/onetap-dialog.js*', (route) => (asked.push(route.request().url()) > 1 ? route.continue() : undefined));
  await context.clock.install();
  const page = await openForum(context, site, `<onetap-bar post-id="${post}"></onetap-bar>`);
  await reads(page, ['Like, 1']);
  await barOf(page).locator('.who').click();
  await until('it is asked for', () => asked.length);
  await page.clock.fastForward(11_000);
  await barOf(page).locator('.problem').getByText('This could not be loaded; try again').waitFor();
  await barOf(page).locator('.who').click();
  await barOf(page).locator('.user').waitFor();
  assert.equal(await barOf(page).locator('.problem').isVisible(), false);
  assert.equal(asked.length, 2);
});
