// What <onetap-bar> shows: before its script, from what the page says, and from what the service says.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { NAMES, barOf, buttonOf, openForum, read, reads } from './support/bars.js';
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

async function open(t, body, options = {}) {
  const { context: of, ...rest } = options;
  const context = await browser.newContext(of);
  t.after(() => context.close());
  t.after(() => (site.faults = () => undefined));
  return openForum(context, site, body, rest);
}

/** What a server renders: a form that works by itself. */
const rendered = (post, reactions) => `<onetap-bar post-id="${post}" reactions="like love laugh" quick="2" user-id="1">
  <form method="post" action="/react/${post}">${reactions
    .map(([name, picture, count, mine]) =>
      `<button name="reaction" value="${name}" aria-pressed="${mine}" aria-label="${name}, ${count}"><span>${picture}</span><data value="${count}">${count}</data></button>`)
    .join('')}</form></onetap-bar>`;

test('counts and the own state come from the service, in the order of the page', async (t) => {
  const post = newPost();
  await other(service, post, 1, true, 'love');
  await other(service, post, 2, true, 'love');
  await other(service, post, 2, true, '🎉');
  await other(service, post, 3, true, 'wow');
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like 🎉 love helpful=💡" user-id="1"></onetap-bar>`);
  await reads(page, ['Like', '🎉, 1', 'Love, 2 *', 'Wow, 1']);
  assert.deepEqual(page.problems, []);
});

test('large counts are short to the eye and whole to the ear', async (t) => {
  const post = newPost();
  site.faults = ({ path }) => (path.includes('stream') ? { hold: 60_000 } : { answer: { status: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ posts: [{ post_id: post, revision: 5, total: 12345, locked: false, reactions: [{ reaction: 'like', count: 12345, mine: false }] }] }) } });
  const page = await open(t, `<onetap-bar post-id="${post}" user-id="1"></onetap-bar>`);
  await reads(page, ['Like, 12345']);
  assert.equal(await barOf(page).locator('.count').textContent(), '12K');
});

test('the summary in the attribute is shown before anybody has answered', async (t) => {
  const post = newPost();
  let release;
  const gate = new Promise((resolve) => (release = resolve));
  site.faults = () => ({ hold: gate });
  const summary = JSON.stringify({ post_id: post, revision: 1, locked: false, total: 3, reactions: [{ reaction: 'like', count: 3, mine: true }] });
  const page = await open(t, `<onetap-bar post-id="${post}" user-id="1" summary='${summary}'></onetap-bar>`);
  await reads(page, ['Like, 3 *']);
  // What the service then says is newer.
  release();
  await reads(page, ['Like']);
});

test('a summary that the page puts there later is taken if it is newer, with its own flag', async (t) => {
  const post = newPost();
  site.faults = ({ path }) => (path.startsWith('/v1') ? { hold: 60_000 } : undefined);
  const summary = (revision, count, mine, of = post) => JSON.stringify({ post_id: of, revision, locked: false, total: count, reactions: [{ reaction: 'like', count, mine }] });
  const page = await open(t, `<onetap-bar post-id="${post}" user-id="1" summary='${summary(10, 3, true)}'></onetap-bar>`);
  const set = (value) => barOf(page).evaluate((bar, value) => bar.setAttribute('summary', value), value);
  await reads(page, ['Like, 3 *']);
  await set(summary(12, 5, false));
  await reads(page, ['Like, 5']);
  await set(summary(11, 4, true));
  await set(summary(13, 9, true, newPost()));
  await set('{');
  await until('it complains', () => page.warnings.length);
  assert.deepEqual(await read(page), ['Like, 5']);
  await barOf(page).evaluate((bar) => bar.removeAttribute('summary'));
  await set(summary(14, 6, true));
  await reads(page, ['Like, 6 *']);
  assert.deepEqual(page.warnings.map((text) => text.replace(/JSON: .*/, 'JSON')), ['onetap-bar: the summary is not JSON']);
  assert.deepEqual(page.problems, []);
});

test('a summary that is damaged, or another post\'s, is not taken', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const foreign = JSON.stringify({ post_id: newPost(), revision: 1, reactions: [{ reaction: 'like', count: 99 }] });
  const page = await open(t, `<onetap-bar post-id="${post}" summary="{"></onetap-bar><onetap-bar post-id="${post}" summary='${foreign}'></onetap-bar>`);
  await reads(page, ['Like, 1'], 0);
  await reads(page, ['Like, 1'], 1);
});

for (const [width, hasTouch] of [[1280, false], [390, true], [200, false]]) {
  test(`server-rendered children become buttons without anything moving (${width} px)`, async (t) => {
    const posts = [newPost(), newPost(), newPost()];
    for (const post of posts) {
      await other(service, post, 1);
      for (const user of [2, 3]) await other(service, post, user);
      await other(service, post, 2, true, 'love');
    }
    const buttons = [['like', '👍', 3, true], ['love', '❤️', 1, false]];
    const page = await open(t, posts.map((post) => rendered(post, buttons)).join('<p>Between</p>'), { script: null, context: { viewport: { width, height: 800 }, hasTouch, isMobile: hasTouch } });
    const boxes = (where) => page.evaluate((where) => {
      const bars = [...document.querySelectorAll('onetap-bar')];
      const buttons = bars.flatMap((bar) => [...(where === 'shadow' ? bar.shadowRoot.querySelectorAll('.reaction') : bar.querySelectorAll('button'))]);
      return [...buttons, ...bars, document.querySelector('#below')].map((element) => {
        const { x, y, width, height } = element.getBoundingClientRect();
        return [x, y, width, height].map((number) => Math.round(number * 10) / 10);
      });
    }, where);
    const before = await boxes('light');
    await page.evaluate(async () => Object.assign(globalThis, await import('/onetap-bar.js')));
    await page.evaluate((names) => new Function('OnetapBar', names)(OnetapBar), NAMES);
    // The names are not there yet when the element replaces its children; then they come.
    await reads(page, ['Like, 3 *', 'Love, 1']);
    await page.evaluate(() => document.querySelectorAll('onetap-bar').forEach((bar) => bar.update()));
    await until('who reacted is shown', async () => (await barOf(page, 2).locator('.who').textContent()).startsWith('You'));
    assert.deepEqual(await boxes('shadow'), before);
    assert.equal(await page.evaluate(() => shift), 0);
    assert.ok(site.reads().some(({ path }) => posts.every((post) => path.includes(post))), 'one call for all');
  });
}

test('what moves is noticed: the same page, with children that are not styled', async (t) => {
  site.faults = () => ({ hold: 60_000 });
  const body = rendered(newPost(), [['like', '👍', 3, true]]);
  const page = await open(t, body, { script: null, head: '<style>onetap-bar > form { min-height: 0 !important; font-size: 3rem !important; flex-direction: column }</style>' });
  await page.evaluate(() => import('/onetap-bar.js').then(() => {}));
  await reads(page, ['Like, 3 *', 'Love']);
  await until('the browser saw it move', () => page.evaluate(() => shift > 0));
});

test('without a script it is a form that works', async (t) => {
  const post = newPost();
  const page = await open(t, rendered(post, [['like', '👍', 3, true], ['love', '❤️', 1, false]]), { script: null, context: { javaScriptEnabled: false } });
  const love = page.getByRole('button', { name: 'love, 1' });
  assert.equal(await page.getByRole('button', { name: 'like, 3' }).getAttribute('aria-pressed'), 'true');
  const [request] = await Promise.all([page.waitForRequest((request) => request.method() === 'POST'), love.click()]);
  assert.equal(new URL(request.url()).pathname, `/react/${post}`);
  assert.equal(request.postData(), 'reaction=love');
});

test('while the service cannot be asked, the children say what there is; then what the service says is taken', async (t) => {
  const post = newPost();
  await other(service, post, 2, true, 'love');
  let down = true;
  site.faults = () => (down ? { answer: { status: 503, body: '' } } : undefined);
  const page = await open(t, rendered(post, [['like', '👍', 3, true]]));
  await reads(page, ['Like, 3 *', 'Love']);
  down = false;
  await reads(page, ['Like', 'Love, 1']);
});

test('names: the newest two, how many others, and one question for the page', async (t) => {
  const [many, two, mine] = [newPost(), newPost(), newPost()];
  for (let user = 14; user >= 1; user -= 1) await other(service, many, user);
  for (const user of [3, 2]) await other(service, two, user);
  for (const user of [3, 1]) await other(service, mine, user);
  const bar = (post, user = '') => `<onetap-bar post-id="${post}" ${user}></onetap-bar>`;
  const page = await open(t, bar(many) + bar(two) + bar(mine, 'user-id="1"'), { script: NAMES });
  const who = (place) => until('the names are there', async () => {
    const text = await barOf(page, place).locator('.who').textContent();
    return /Anna|Ben|Carla/.test(text) && text;
  });
  assert.equal(await who(0), 'Anna, Ben and 12 others');
  assert.equal(await who(1), 'Ben and Carla');
  assert.equal(await who(2), 'You and Carla');
  const asked = await page.evaluate(() => resolved.flat());
  assert.equal(new Set(asked).size, asked.length, 'each once');
  assert.ok((await page.evaluate(() => resolved.length)) <= 2, 'gathered over the page');
});

test('how many people that are is said only where it is known', async (t) => {
  const [whole, part] = [newPost(), newPost()];
  for (const user of [1, 2]) for (const reaction of ['like', 'love']) await other(service, whole, user, true, reaction);
  for (let user = 1; user <= 9; user += 1) for (const reaction of ['like', 'love']) await other(service, part, user, true, reaction);
  const page = await open(t, `<onetap-bar post-id="${whole}"></onetap-bar><onetap-bar post-id="${part}"></onetap-bar>`, { script: NAMES });
  const who = (place) => barOf(page, place).locator('.who').textContent();
  await until('two people, four reactions', async () => (await who(0)) === 'Ben and Anna');
  await until('nine people at least', async () => (await who(1)) === 'User no. 9, User no. 8 and others');
});

test('a resolveUsers that fails leaves the counts, and is asked again', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like"></onetap-bar>`, { script: 'globalThis.asked = 0; OnetapBar.resolveUsers = async () => { asked += 1; if (asked === 1) throw new Error("no"); return [{ id: 2, name: "Ben" }]; };' });
  await until('it was asked', () => page.evaluate(() => asked === 1));
  await reads(page, ['Like, 1']);
  assert.equal(await barOf(page).locator('.who').textContent(), '1 person');
  await barOf(page).evaluate((bar) => bar.update());
  await until('it was asked again', async () => (await barOf(page).locator('.who').textContent()) === 'Ben');
});

test('other people\'s taps arrive', async (t) => {
  const post = newPost();
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like love" user-id="1"></onetap-bar>`, { script: NAMES });
  await reads(page, ['Like']);
  await other(service, post, 2);
  await reads(page, ['Like, 1']);
  await other(service, post, 3, true, 'love');
  await reads(page, ['Like, 1', 'Love, 1']);
  await other(service, post, 3, false, 'love');
  // A button stays once it has been shown: without it, another might be under the finger.
  await reads(page, ['Like, 1', 'Love']);
});

test('a locked post can only be left', async (t) => {
  const post = newPost();
  await other(service, post, 1);
  const summary = JSON.stringify({ post_id: post, revision: 9e15, locked: true, total: 3, reactions: [{ reaction: 'like', count: 2, mine: true }, { reaction: 'love', count: 1, mine: false }] });
  site.faults = ({ method, path }) => (method === 'GET' && path.includes(post) ? { hold: 60_000 } : undefined);
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like love" user-id="1" summary='${summary}'></onetap-bar>`);
  await reads(page, ['Like, 2 *', 'Love, 1']);
  assert.equal(await buttonOf(barOf(page), 'Like').isEnabled(), true);
  assert.equal(await buttonOf(barOf(page), 'Love').isEnabled(), false);
  assert.equal(await barOf(page).locator('.add').isEnabled(), false);
  await barOf(page).getByText('Closed: reactions can only be removed').waitFor();
});

test('readonly shows, and takes no taps', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like love" readonly></onetap-bar>`);
  await reads(page, ['Like, 1']);
  assert.equal(await buttonOf(barOf(page), 'Like').isEnabled(), false);
  assert.equal(await barOf(page).locator('.add').isVisible(), false);
  await barOf(page).locator('.who').click();
  await barOf(page).getByText('User 2').waitFor();
});

test('texts, labels, pictures and numbers in the page\'s language', async (t) => {
  const post = newPost();
  await other(service, post, 2);
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="like danke=🙏" quick="2"></onetap-bar>`, {
    language: 'de',
    script: 'Object.assign(OnetapBar.texts, { button: (label, count) => count ? `${label}: ${count}` : label, who: (names, n) => n === 1 ? "eine Person" : `${n} Leute`, add: "Reagieren" }); OnetapBar.labels = { like: "Gefällt mir" }; OnetapBar.pictures.like = "💚";',
  });
  await reads(page, ['Gefällt mir: 1', 'Danke']);
  assert.equal(await barOf(page).locator('.who').textContent(), 'eine Person');
  assert.equal(await barOf(page).locator('.add').getAttribute('aria-label'), 'Reagieren');
  assert.deepEqual(await barOf(page).locator('.reaction .picture').allTextContents(), ['💚', '🙏']);
});

test('a name without a picture is shown as a word; both spellings of an emoji are one', async (t) => {
  const post = newPost();
  await other(service, post, 2, true, '❤️');
  const page = await open(t, `<onetap-bar post-id="${post}" reactions="well_said \u2764" quick="2" user-id="1"></onetap-bar>`);
  await reads(page, ['Well said', '❤, 1']);
  assert.equal(await barOf(page).locator('.picture').first().textContent(), 'Well said');
  assert.deepEqual((await read(page)).length, 2);
});
