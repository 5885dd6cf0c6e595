// What may be tapped, as the client knows it: exclusive groups, aliases, locks and refusals, over
// the real service.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { gate, nodeClient } from './support/node_client.js';
import { moderate, startWithPalettes } from './support/palettes.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

let service, site, post;
before(async () => {
  service = await startWithPalettes();
  site = await startSite({ service });
});
after(() => Promise.all([service.stop(), site.stop()]));
beforeEach(() => {
  post = newPost();
  site.requests.length = 0;
  site.faults = () => undefined;
});

const ON = { mine: true, pending: false };
const OFF = { count: 0, mine: false, pending: false };
/** The writes that have reached the site, as `PUT up`. */
const writes = () =>
  site.writes().map(({ method, path }) => {
    const [, reaction] = /reactions\/([^/]+)/.exec(path);
    return `${method} ${decodeURIComponent(reaction)}`;
  });

/** A client that watches the post; with `palettes` it knows them. */
async function open(t, { palettes = true } = {}) {
  const told = nodeClient(t, site);
  await told.watch(post);
  if (palettes) assert.ok(await told.client.palettes());
  return told;
}

test('the palettes are as the service says, and asked for once', async (t) => {
  const { client } = await open(t);
  const { default: usual, qa } = await client.palettes();
  assert.deepEqual(usual.reactions, ['like', 'up', 'down', '👍']);
  assert.deepEqual(usual.exclusive, [['up', 'down']]);
  assert.deepEqual([usual.aliases, qa.exclusive], [{ '+1': '👍' }, '*']);
  assert.deepEqual(client.palette(post), usual);
  const asked = site.requests.filter(({ path }) => path === '/v1/palettes');
  assert.equal(asked.length, 1);
});

test('a service that does not say is asked again, and taps go on', async (t) => {
  site.faults = ({ path }) => (path === '/v1/palettes' ? { drop: 'before' } : undefined);
  const { client, shown } = await open(t, { palettes: false });
  assert.equal(await client.palettes(), undefined);
  assert.equal(client.palette(post), undefined);
  client.tap(post, 'up');
  await client.settled();
  assert.deepEqual(shown(post, 'up'), { count: 1, ...ON });
  site.faults = () => undefined;
  assert.ok(await client.palettes());
});

test('what a tap replaces is gone with its answer, though the palettes are not known', async (t) => {
  await other(service, post, 2, true, 'up');
  const { client, shown } = await open(t, { palettes: false });
  client.tap(post, 'up');
  await client.settled();
  assert.deepEqual(shown(post, 'up'), { count: 2, ...ON });
  client.tap(post, 'down');
  await client.settled();
  assert.deepEqual(shown(post, 'up'), { count: 1, mine: false, pending: false });
  assert.deepEqual(shown(post, 'down'), { count: 1, ...ON });
  assert.equal(client.state(post).total, 2);
});

test('a tap shows the others of its group off at once, and on again when it is refused', async (t) => {
  await other(service, post, 2, true, 'up');
  await other(service, post, 1, true, 'up');
  await other(service, post, 1, true, 'like');
  const { client, shown, states } = await open(t);
  const slow = gate();
  const body = JSON.stringify({ code: 'reaction_not_allowed', detail: 'not here' });
  site.faults = ({ method }) =>
    method === 'PUT' ? { hold: slow.closed, answer: { status: 422, body } } : undefined;
  client.tap(post, 'down');
  assert.deepEqual(shown(post, 'down'), { count: 1, mine: true, pending: true });
  assert.deepEqual(shown(post, 'up'), { count: 1, mine: false, pending: false });
  assert.deepEqual(shown(post, 'like'), { count: 1, ...ON }, 'of no group');
  assert.equal(states.at(-1).total, 3);
  slow.open();
  await client.settled();
  assert.deepEqual(shown(post, 'up'), { count: 2, ...ON });
  assert.deepEqual(shown(post, 'down'), OFF);
});

test('the stream does not count a replaced reaction twice', async (t) => {
  for (const user of [1, 3]) await other(service, post, user, true, 'up');
  const told = nodeClient(t, site, { live: true });
  await told.watch(post);
  await told.client.palettes();
  await until('the stream is open', () => site.streams()[0]?.status === 200);
  const slow = gate();
  site.faults = ({ method }) => (method === 'PUT' ? { late: slow.closed } : undefined);
  told.client.tap(post, 'down');
  // The stream is faster than the answer.
  await other(service, post, 2, true, 'like');
  await until('the stream has told', () => told.shown(post, 'like').count === 1);
  assert.equal(told.shown(post, 'up').count, 1, 'not taken away a second time');
  slow.open();
  await told.client.settled();
  assert.deepEqual(told.shown(post, 'up'), { count: 1, mine: false, pending: false });
  assert.deepEqual(told.shown(post, 'down'), { count: 1, ...ON });
});

for (const palettes of [true, false]) {
  test(`the last tap of a group stands, however slow the first is (palettes known: ${palettes})`, async (t) => {
    const { client, shown } = await open(t, { palettes });
    const slow = gate();
    site.faults = ({ path }) => (path.includes('/down/') ? { hold: slow.closed } : undefined);
    client.tap(post, 'down');
    client.tap(post, 'up');
    await until('the first is sent', () => writes().length);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(writes(), ['PUT down'], 'the second waits for the answer to the first');
    slow.open();
    await client.settled();
    assert.deepEqual(writes(), ['PUT down', 'PUT up']);
    assert.deepEqual([shown(post, 'up'), shown(post, 'down')], [{ count: 1, ...ON }, OFF]);
    assert.deepEqual(await held(service, post, 1, 'up'), { count: 1, mine: true });
    assert.deepEqual(await held(service, post, 1, 'down'), { count: 0, mine: false });
  });
}

test('a change of mind that comes back to the tap in flight sends nothing more', async (t) => {
  const { client, shown } = await open(t);
  const slow = gate();
  site.faults = ({ path }) => (path.includes('/down/') ? { hold: slow.closed } : undefined);
  for (const reaction of ['down', 'up', 'down']) client.wish(post, reaction, true);
  assert.deepEqual(shown(post, 'up'), OFF);
  assert.deepEqual(shown(post, 'down'), { count: 1, mine: true, pending: true });
  slow.open();
  await client.settled();
  assert.deepEqual(writes(), ['PUT down']);
  assert.deepEqual(await held(service, post, 1, 'down'), { count: 1, mine: true });
});

test('reactions that do not exclude each other do not wait for each other', async (t) => {
  const { client, shown } = await open(t);
  const slow = gate();
  site.faults = ({ path }) => (path.includes('/like/') ? { hold: slow.closed } : undefined);
  client.tap(post, 'like');
  client.tap(post, 'up');
  await until('up is confirmed', () => shown(post, 'up').pending === false);
  assert.equal(shown(post).pending, true);
  slow.open();
});

test('where all exclude each other, each tap takes the rest away', async (t) => {
  await moderate(service, post, 'rules', 'PUT', { palette: 'qa' });
  await other(service, post, 1, true, 'helpful');
  const { client, shown } = await open(t);
  assert.equal(client.state(post).palette, 'qa');
  client.tap(post, 'same-question');
  assert.deepEqual(shown(post, 'helpful'), OFF);
  await client.settled();
  assert.deepEqual(shown(post, 'same-question'), { count: 1, ...ON });
  assert.deepEqual(await held(service, post, 1, 'helpful'), { count: 0, mine: false });
});

test('an alias is shown as the reaction that it counts as', async (t) => {
  const { client, shown } = await open(t);
  assert.equal(client.counted(post, '+1'), '👍');
  client.tap(post, '+1');
  assert.deepEqual(shown(post, '👍'), { count: 1, mine: true, pending: true });
  await client.settled();
  assert.deepEqual([shown(post, '👍'), shown(post, '+1')], [{ count: 1, ...ON }, OFF]);
  client.wish(post, '+1', false);
  await client.settled();
  assert.deepEqual(await held(service, post, 1, '👍'), { count: 0, mine: false });
});

test('an alias that the client does not know is right with the answer', async (t) => {
  const { client, shown } = await open(t, { palettes: false });
  client.tap(post, '+1');
  await client.settled();
  assert.deepEqual([shown(post, '👍'), shown(post, '+1')], [{ count: 1, ...ON }, OFF]);
});

test('a reaction under a name that is an alias now can be taken back', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'onetap-alias-'));
  const store = `file:${join(folder, 'taps.redb')}`;
  const before = await startService({ store });
  for (const user of [1, 2]) await other(before, post, user, true, '+1');
  await before.stop();
  const now = await startWithPalettes(store);
  const place = await startSite({ service: now });
  t.after(() => Promise.all([now.stop(), place.stop(), rm(folder, { recursive: true })]));
  const { client, shown, watch } = nodeClient(t, place);
  await watch(post);
  await client.palettes();
  client.tap(post, '+1');
  // The second tap of the gesture is none on the reaction that the alias names.
  client.tap(post, '+1');
  assert.deepEqual(shown(post, '+1'), { count: 1, mine: false, pending: true });
  await client.settled();
  assert.deepEqual(shown(post, '+1'), { count: 1, mine: false, pending: false });
  assert.deepEqual(place.writes().map(({ method }) => method), ['DELETE']);
  assert.deepEqual(await held(now, post, 1, '+1'), { count: 1, mine: false });
});

test('a lock comes with the next summary: nothing can be added, all can be removed', async (t) => {
  await other(service, post, 1, true, 'like');
  const { client, errors, shown } = await open(t);
  assert.equal(client.refusal(post, 'up'), undefined);
  await moderate(service, post, 'lock');
  client.tap(post, 'up');
  assert.deepEqual(shown(post, 'up'), { count: 1, mine: true, pending: true });
  await client.settled();
  assert.deepEqual(shown(post, 'up'), OFF);
  const [{ code, status, dropped, reaction }] = errors;
  assert.deepEqual([code, status, dropped, reaction], ['reactions_locked', 403, true, 'up']);
  await until('the post is read again', () => client.state(post).locked);
  assert.equal(client.refusal(post, 'up'), 'reactions_locked');
  client.tap(post, 'like');
  await client.settled();
  assert.deepEqual(shown(post), OFF);
  assert.equal(errors.length, 1);
});

test('what a moderator leaves open can be added', async (t) => {
  await other(service, post, 2, true, 'like');
  await moderate(service, post, 'rules', 'PUT', { add: 'existing' });
  const { client, errors, shown } = await open(t);
  assert.equal(client.state(post).add, 'existing');
  assert.deepEqual([client.refusal(post, 'like'), client.refusal(post, 'up')], [undefined, 'reaction_not_allowed']);
  client.tap(post, 'like');
  client.tap(post, 'up');
  await client.settled();
  assert.deepEqual([shown(post), shown(post, 'up')], [{ count: 2, ...ON }, OFF]);
  assert.deepEqual(errors.map(({ code }) => code), ['reaction_not_allowed']);
  await moderate(service, post, 'rules', 'PUT', { add: 'none' });
  client.watch(post);
  await until('it is closed', () => client.refusal(post, 'like') === 'reactions_locked');
});

test('a reaction that is not offered, and one too many, are undone and told', async (t) => {
  const { client, errors, shown } = await open(t);
  assert.equal(client.refusal(post, 'love'), 'reaction_not_allowed');
  client.tap(post, 'love');
  await client.settled();
  assert.deepEqual(shown(post, 'love'), OFF);
  for (const reaction of ['like', 'up']) await other(service, post, 1, true, reaction);
  client.watch(post);
  await until('the two are known', () => shown(post, 'up').mine);
  client.tap(post, '👍');
  await client.settled();
  assert.deepEqual(shown(post, '👍'), OFF);
  client.tap(post, 'down');
  await client.settled();
  assert.deepEqual(shown(post, 'down'), { count: 1, ...ON }, 'it replaces one of the two');
  const refused = errors.map(({ code, status, dropped }) => [code, status, dropped]);
  assert.deepEqual(refused, [
    ['reaction_not_allowed', 422, true],
    ['too_many_reactions', 422, true],
  ]);
});
