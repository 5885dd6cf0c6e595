// What becomes of a wish between the thumb and the service, whatever the network does to it.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { gate, nodeClient } from './support/node_client.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

let service, site, post;
before(async () => {
  service = await startService();
  site = await startSite({ service });
});
after(() => Promise.all([service.stop(), site.stop()]));
beforeEach(() => {
  site.faults = () => undefined;
  site.requests.length = 0;
  post = newPost();
});

const isWrite = ({ method }) => method === 'PUT' || method === 'DELETE';
/** Faults for the writes in their order; the last goes on for ever. */
const writesMeet = (...faults) => {
  let n = 0;
  site.faults = (request) =>
    isWrite(request) ? faults[Math.min(n++, faults.length - 1)] : undefined;
};
const methods = () => site.writes().map(({ method }) => method);
const keys = () => new Set(site.writes().map(({ key }) => key)).size;

test('a write that arrives after the client has given it up and moved on undoes nothing', async (t) => {
  const late = gate();
  // The first attempt lies in a buffer; its repeat and the newer wish pass it.
  writesMeet({ hold: late.closed }, undefined);
  const { client } = nodeClient(t, site, { timeoutMs: 3_000 });
  client.wish(post, 'like', true);
  await until('the first attempt is on its way', () => methods().length === 1);
  client.wish(post, 'like', false);
  await client.settled();
  assert.deepEqual(
    methods(),
    ['PUT', 'PUT', 'DELETE'],
    'the unanswered write is repeated before the newer goes',
  );
  assert.equal(site.writes()[0].key, site.writes()[1].key);
  assert.deepEqual(await held(service, post, 1), { count: 0, mine: false });
  late.open();
  await until('the late one has been answered', () => site.writes()[0].status);
  assert.equal(site.writes()[0].replayed, 'true');
  assert.deepEqual(
    await held(service, post, 1),
    { count: 0, mine: false },
    'the newest wish stands',
  );
});

for (const [what, fault] of Object.entries({
  'lost before the service': { drop: 'before' },
  'whose answer is lost': { drop: 'after' },
  'answered too late': { late: 2_500 },
  'answered 500 without a word': { answer: { status: 500 } },
  'answered 503 by a proxy in HTML': {
    answer: { status: 503, headers: { 'Content-Type': 'text/html' }, body: '<h1>Sorry</h1>' },
  },
  'answered 200 in HTML': {
    answer: { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<h1>Sign in</h1>' },
  },
  'answered 200 with other JSON': { answer: { status: 200, body: '{"ok":true}' } },
  'answered 200 with null': { answer: { status: 200, body: 'null' } },
  'answered 204': { answer: { status: 204 } },
  redirected: { answer: { status: 302, headers: { Location: '/login' } } },
  'cut off in the middle of its answer': {
    handle: (_, response) => (
      response.writeHead(200, { 'Content-Length': 100 }).write('{"active"'),
      response.destroy()
    ),
  },
  'answered 408': { answer: { status: 408 } },
})) {
  test(`a write ${what} is repeated with its key`, async (t) => {
    writesMeet(fault, undefined);
    const timeoutMs = fault.late ? 1_500 : 5_000;
    const { client, shown, errors, watch } = nodeClient(t, site, { timeoutMs });
    await watch(post);
    client.tap(post, 'like');
    await client.settled();
    assert.deepEqual(methods(), ['PUT', 'PUT']);
    assert.equal(keys(), 1);
    assert.deepEqual(shown(post), { count: 1, mine: true, pending: false });
    assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
    assert.equal(errors.length, 1);
    assert.equal(errors[0].dropped, false);
  });
}

test('a doubled write, whose twin comes after a newer wish, undoes nothing', async (t) => {
  writesMeet({ twice: 700 }, undefined);
  const { client } = nodeClient(t, site);
  client.wish(post, 'like', true);
  await client.settled();
  client.wish(post, 'like', false);
  await client.settled();
  await new Promise((resolve) => setTimeout(resolve, 800));
  assert.deepEqual(await held(service, post, 1), { count: 0, mine: false });
});

test('a wish like the one in flight needs no second write', async (t) => {
  const slow = gate();
  writesMeet({ late: slow.closed });
  const { client } = nodeClient(t, site);
  for (const active of [true, false, true]) client.wish(post, 'like', active);
  await until('the write is on its way', () => methods().length === 1);
  slow.open();
  await client.settled();
  assert.deepEqual(methods(), ['PUT']);
});

test('a wish out of a listener is sent after the one that it answers to, not beside it', async (t) => {
  const { client, watch } = nodeClient(t, site);
  await watch(post);
  client.addEventListener('onetap-change', ({ detail: { reactions } }) => {
    const confirmed = reactions.some(({ mine, pending }) => mine && !pending);
    if (confirmed) client.wish(post, 'like', false);
  });
  client.tap(post, 'like');
  await client.settled();
  assert.deepEqual(methods(), ['PUT', 'DELETE']);
  assert.deepEqual(await held(service, post, 1), { count: 0, mine: false });
});

test('a refused wish is dropped, and the state is as the service knows it', async (t) => {
  await other(service, post, 2);
  const problem = { code: 'reactions_locked', detail: 'the post is locked', status: 403 };
  writesMeet({
    answer: {
      status: 403,
      headers: { 'Content-Type': 'application/problem+json' },
      body: JSON.stringify(problem),
    },
  });
  const { client, shown, errors, states, watch } = nodeClient(t, site);
  await watch(post);
  client.tap(post, 'like');
  assert.deepEqual(shown(post), { count: 2, mine: true, pending: true });
  await client.settled();
  assert.deepEqual(shown(post), { count: 1, mine: false, pending: false });
  assert.deepEqual(methods(), ['PUT']);
  const [error] = errors;
  assert.deepEqual(
    [error.postId, error.reaction, error.code, error.status, error.dropped, error.message],
    [post, 'like', 'reactions_locked', 403, true, 'the post is locked'],
  );
  assert.deepEqual(error.problem, problem);
  await until('the state is read again', () => site.reads().length === 2);
  assert.equal(states.at(-1).total, 1);
});

test('after a refused wish the newer one is sent', async (t) => {
  const slow = gate();
  const body = '{"code":"idempotency_key_reused"}';
  writesMeet({ hold: slow.closed, answer: { status: 422, body } }, undefined);
  await other(service, post, 1);
  const { client, errors } = nodeClient(t, site);
  client.wish(post, 'like', true);
  client.wish(post, 'like', false);
  slow.open();
  await client.settled();
  assert.deepEqual(methods(), ['PUT', 'DELETE']);
  assert.deepEqual(await held(service, post, 1), { count: 0, mine: false });
  assert.deepEqual(errors, [], 'nobody wants it any more');
});

test('the time that the service asks for is kept, whatever happens meanwhile', async (t) => {
  writesMeet({ answer: { status: 429, headers: { 'Retry-After': '1' } } }, undefined);
  const { client } = nodeClient(t, site);
  client.tap(post, 'like');
  await until('the first is refused', () => methods().length === 1);
  client.tap(newPost(), 'like'); // Would end any other pause.
  await client.settled();
  const [first, , second] = site.writes();
  assert.ok(second.at - first.at >= 1000, `${second.at - first.at} ms`);
  assert.equal(first.key, second.key);
});

test('a pause ends when the phone is online again, or the user taps', async (t) => {
  const listeners = new Map();
  globalThis.addEventListener = (type, listener) => listeners.set(type, listener);
  t.after(() => delete globalThis.addEventListener);
  t.mock.method(Math, 'random', () => 0.999);
  site.faults = () => ({ drop: 'before' });
  const { client } = nodeClient(t, site);
  client.tap(post, 'like');
  await until('a second attempt has failed', () => methods().length === 2);
  site.faults = () => undefined;
  const started = Date.now();
  // Wake the client repeatedly: the second attempt may not have failed yet, so its pause may not have begun.
  const online = setInterval(listeners.get('online'), 20);
  t.after(() => clearInterval(online));
  await client.settled();
  assert.ok(Date.now() - started < 1_500, 'the pause would have been two seconds');
});

test('a wish older than its key is kept is dropped, told, and the state read again', async (t) => {
  writesMeet({ drop: 'before' });
  const { client, errors, shown, watch } = nodeClient(t, site, {
    retentionMs: 1_500,
    timeoutMs: 500,
  });
  await watch(post);
  client.tap(post, 'like');
  await client.settled();
  assert.deepEqual(shown(post), { count: 0, mine: false, pending: false });
  assert.deepEqual(
    errors.map(({ code, dropped }) => [code, dropped]),
    [
      ['network_error', false],
      ['wish_expired', true],
    ],
  );
  const last = site.writes().at(-1).at;
  assert.ok(
    last - site.writes()[0].at < 1_050,
    'no attempt that could arrive after the key is gone',
  );
  await until('the state is read again', () => site.reads().length === 2);
});

test('an answer that comes out of order takes nothing back', async (t) => {
  const slow = gate();
  const { client, shown, states, watch } = nodeClient(t, site);
  await watch(post);
  // A read starts before the tap, and its answer comes after it.
  site.faults = ({ method }) => (method === 'GET' ? { late: slow.closed } : undefined);
  const twin = client.watch(post);
  await until('the read is on its way', () => site.reads().length === 2 && site.reads()[1].status);
  client.tap(post, 'like');
  await client.settled();
  slow.open();
  site.faults = () => undefined;
  await watch(newPost()); // Reads are one at a time: now the slow one has been taken in.
  assert.deepEqual(shown(post), { count: 1, mine: true, pending: false });
  assert.ok(
    states
      .filter(({ postId }) => postId === post)
      .slice(1)
      .every(({ reactions }) => reactions[0]?.mine && reactions[0].count === 1),
    'it never flickered',
  );
  twin();
});

test('answers of different reactions do not touch each other', async (t) => {
  const slow = gate();
  site.faults = ({ path }) => (path.includes('/like/') ? { late: slow.closed } : undefined);
  const { client, shown, watch } = nodeClient(t, site);
  await watch(post);
  // Until it knows that they do not exclude each other, the client sends one after the other.
  await client.palettes();
  client.tap(post, 'like');
  client.tap(post, 'love');
  await until('love is confirmed', () => shown(post, 'love').pending === false);
  assert.deepEqual(shown(post), { count: 1, mine: true, pending: true });
  slow.open();
  await client.settled();
  assert.deepEqual(
    [shown(post), shown(post, 'love')],
    [
      { count: 1, mine: true, pending: false },
      { count: 1, mine: true, pending: false },
    ],
  );
});

test('a gesture is a fixed window from its first tap, of each reaction by itself', async (t) => {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  const { client, shown, watch } = nodeClient(t, site);
  await watch(post);
  client.tap(post, 'like');
  now += 399;
  client.tap(post, 'like');
  client.tap(post, 'love');
  assert.deepEqual([shown(post).mine, shown(post, 'love').mine], [true, true]);
  now += 1;
  client.tap(post, 'like'); // The window was not made longer by the second tap.
  assert.equal(shown(post).mine, false);
  now += 400;
  client.tap(post, 'like');
  assert.equal(shown(post).mine, true);
});

test('one emoji in two spellings is one reaction', async (t) => {
  const { client, shown, watch } = nodeClient(t, site);
  await watch(post);
  client.tap(post, '\u2764');
  await client.settled();
  await until('the service has told its spelling', async () => {
    client.watch(post);
    return shown(post, '\u2764\uFE0F').mine;
  });
  assert.equal(client.state(post).reactions.length, 1);
  client.wish(post, '\u2764', false);
  await client.settled();
  assert.deepEqual(await held(service, post, 1, '\u2764\uFE0F'), { count: 0, mine: false });
});

test('what is no post or no reaction, and taps of nobody, are told and not sent', (t) => {
  const { client, errors } = nodeClient(t, site);
  client.tap('42', 'like');
  client.tap('00000000-0000-0000-0000-000000000000', 'like');
  client.watch('')();
  for (const reaction of ['', '..', '.', 'Like', 'a/b', 'x'.repeat(33), '_a'])
    client.tap(post, reaction);
  const nobody = nodeClient(t, site, { userId: undefined });
  nobody.client.tap(post, 'like');
  assert.deepEqual(
    errors.map(({ code }) => code),
    [...Array(3).fill('invalid_post_id'), ...Array(7).fill('invalid_reaction')],
  );
  assert.deepEqual(
    nobody.errors.map(({ code, postId, dropped }) => [code, postId, dropped]),
    [['unauthenticated', post, true]],
  );
  assert.deepEqual(site.writes(), []);
});

test('closing sends what waits, and tells nothing any more', async (t) => {
  const slow = gate();
  writesMeet({ late: slow.closed }, undefined);
  const { client, states } = nodeClient(t, site);
  client.wish(post, 'like', true);
  await until('the first is counted', async () => (await held(service, post, 1)).mine);
  client.wish(post, 'like', false);
  const before = states.length;
  client.close();
  await client.settled();
  await until('the last wish is counted', async () => !(await held(service, post, 1)).mine);
  client.tap(post, 'love');
  slow.open();
  client.close();
  assert.equal(states.length, before);
});
