// What the client knows: reads for a whole page, tokens, reactors, and ids.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { Onetap, integerFromPostId, postIdFromInteger, reactionKey } from '../dist/onetap.js';
import { nodeClient } from './support/node_client.js';
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

const HTML = { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<h1>Welcome</h1>' };

test('the posts of a page are read in calls of a hundred, and one bad id spoils none', async (t) => {
  const { client, known, errors } = nodeClient(t, site);
  const posts = Array.from({ length: 250 }, newPost);
  for (const id of ['nonsense', ...posts, ...posts]) client.watch(id.toUpperCase());
  await Promise.all(posts.map(known));
  assert.deepEqual(
    site.requests.map(({ path }) => path.match(/post_id=/g).length),
    [100, 100, 50],
  );
  assert.ok(
    site.requests.every(({ method, path }) => method === 'GET' && path.endsWith('&user_id=1')),
  );
  assert.deepEqual(
    errors.map(({ code }) => code),
    ['invalid_post_id'],
  );
  assert.equal(client.state(posts[0]).postId, posts[0]);
});

test('a post is watched until the last that watches it stops', async (t) => {
  const { client, watch } = nodeClient(t, site);
  const first = await watch(post);
  const second = await watch(post);
  first();
  first();
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.ok(client.state(post));
  second();
  await until('it is forgotten', () => !client.state(post));
});

test('an element that is moved in the page forgets nothing', async (t) => {
  const { client, watch } = nodeClient(t, site);
  const stop = await watch(post);
  stop();
  client.watch(post);
  assert.ok(client.state(post));
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.ok(client.state(post));
});

test('what the server rendered is shown at once, and gives way to what the service says', async (t) => {
  await other(service, post, 1);
  const { client, shown, states } = nodeClient(t, site);
  client.watch(post, {
    reactions: [
      { reaction: 'like', count: 7, mine: true },
      { reaction: 'love', count: 2 },
    ],
  });
  assert.deepEqual(
    [shown(post), shown(post, 'love')],
    [
      { count: 7, mine: true, pending: false },
      { count: 2, mine: false, pending: false },
    ],
  );
  assert.equal(client.state(post).total, 9);
  await until('the service has spoken', () => shown(post).count === 1);
  assert.deepEqual(
    states.map(({ total }) => total),
    [9, 1],
  );
});

test('a page rendered before a failover set the clock back gives way to what is read after it', async (t) => {
  const { client, shown } = nodeClient(t, site);
  await other(service, post, 2);
  const { revision: old } = await other(service, post, 3);
  const revision = old + 60_000_000;
  client.watch(post, { revision, reactions: [{ reaction: 'like', count: 5, mine: false }] });
  await until('it was read', () => site.reads()[0]?.status);
  await until('the answer counts, though its revision is lower', () => shown(post).count === 2);
});

test("the newest users come along, and order and total are the service's", async (t) => {
  for (const user of [2, 3]) await other(service, post, user, true, 'love');
  await other(service, post, 2);
  const { client, watch } = nodeClient(t, site, { recent: 1 });
  await watch(post);
  const { reactions, total, locked } = client.state(post);
  assert.deepEqual(
    reactions.map(({ reaction, recent }) => [reaction, recent.map((r) => r.user_id)]),
    [
      ['love', ['3']],
      ['like', ['2']],
    ],
  );
  assert.deepEqual([total, locked], [3, false]);
  client.tap(post, 'like');
  await client.settled();
  assert.deepEqual(
    client.state(post).reactions.map((r) => r.reaction),
    ['love', 'like'],
    'buttons do not jump under the thumb',
  );
});

for (const [what, fault] of Object.entries({
  'in HTML': { answer: HTML },
  'with 204': { answer: { status: 204 } },
  'with a redirect': { answer: { status: 307, headers: { Location: '/elsewhere' } } },
  'with 502 and no JSON': { answer: { status: 502 } },
  'with JSON of another kind': {
    answer: { status: 200, body: '{"posts":[{"post_id":"x"},null]}' },
  },
  'not at all': { drop: 'after' },
})) {
  test(`a read that is answered ${what} is asked again`, async (t) => {
    let n = 0;
    site.faults = () => (n++ ? undefined : fault);
    const { watch, errors } = nodeClient(t, site);
    await watch(post);
    assert.equal(site.reads().length, 2);
    assert.deepEqual(
      errors.map(({ dropped }) => dropped),
      [false],
    );
  });
}

test('a read that is refused is told and not asked again; the next is', async (t) => {
  let n = 0;
  site.faults = () => (n++ ? undefined : { answer: { status: 403, body: '{"code":"forbidden"}' } });
  const { client, watch, errors } = nodeClient(t, site);
  client.watch(post);
  await until('the refusal is told', () => errors.length);
  assert.deepEqual([errors[0].code, errors[0].dropped], ['forbidden', true]);
  await watch(post);
});

test('reactors come in pages, of a reaction and of the post; a refusal rejects', async (t) => {
  for (const user of [2, 3, 4]) await other(service, post, user);
  const { client } = nodeClient(t, site);
  const first = await client.reactors(post, { reaction: 'like', limit: 2 });
  assert.deepEqual(
    first.users.map((u) => [u.user_id, u.reaction, typeof u.reacted_at]),
    [
      ['4', 'like', 'string'],
      ['3', 'like', 'string'],
    ],
  );
  const second = await client.reactors(post, {
    reaction: 'like',
    limit: 2,
    cursor: first.next_cursor,
  });
  assert.deepEqual([second.users.map((u) => u.user_id), second.next_cursor], [['2'], null]);
  assert.deepEqual(
    (await client.reactors(post)).users.map((u) => u.reaction),
    ['like', 'like', 'like'],
  );
  await assert.rejects(client.reactors(post, { limit: 1000 }), {
    code: 'invalid_query',
    status: 400,
    dropped: true,
  });
  site.requests.length = 0;
  site.faults = (_, n) => (n < 2 ? { answer: HTML } : undefined);
  assert.equal((await client.reactors(post)).users.length, 3, 'tried again');
  site.requests.length = 0;
  site.faults = () => ({ answer: HTML });
  await assert.rejects(client.reactors(post), { code: 'unexpected_answer', dropped: false });
  assert.equal(site.requests.length, 3, 'but not for ever');
});

// ---- Tokens: a stub of a proxy that knows the user of each token

/** Lets requests with a good token through, in the name of its user. The test may change `good`. */
function authenticating(good) {
  const real = { url: service.url };
  site.faults = (request) => {
    const user = good[request.headers.authorization?.replace('Bearer ', '')];
    if (!user)
      return {
        answer: {
          status: 401,
          headers: { 'Content-Type': 'application/problem+json' },
          body: '{"code":"unauthenticated","detail":"sign in"}',
        },
      };
    return {
      handle: async (incoming, response) => {
        const path =
          request.path.replace('/users/me', `/users/${user}`) +
          (request.path.includes('?') ? `&user_id=${user}` : '');
        const headers = request.key ? { 'Idempotency-Key': request.key } : {};
        const reply = await fetch(real.url + path, { method: request.method, headers });
        request.status = reply.status;
        response
          .writeHead(reply.status, { 'Content-Type': reply.headers.get('Content-Type') })
          .end(await reply.text());
      },
    };
  };
}

test('one token for the posts of a page, sent with reads and writes; the user is its own', async (t) => {
  authenticating({ t1: 7 });
  const asked = [];
  const { client, known, shown } = nodeClient(t, site, { token: (ids) => (asked.push(ids), 't1') });
  const posts = [post, newPost(), newPost()];
  for (const id of posts) client.watch(id);
  await Promise.all(posts.map(known));
  client.tap(post, 'like');
  await client.settled();
  assert.deepEqual(shown(post), { count: 1, mine: true, pending: false });
  assert.ok((await held(service, post, 7)).mine);
  assert.deepEqual(
    asked.map((ids) => [...ids].sort()),
    [[...posts].sort()],
    'asked once, for all',
  );
  assert.ok(site.writes()[0].path.endsWith('/users/me'));
});

test('a token that is refused is asked for again, once, with the same key', async (t) => {
  const good = { t1: 7 };
  authenticating(good);
  let current = 't1';
  let asked = 0;
  const { client, watch, errors } = nodeClient(t, site, { token: async () => (asked++, current) });
  await watch(post);
  delete good.t1;
  good.t2 = 7;
  current = 't2';
  client.tap(post, 'like');
  await client.settled();
  assert.deepEqual(
    site.writes().map(({ status, key }) => [status ?? 401, key === site.writes()[0].key]),
    [
      [401, true],
      [201, true],
    ],
  );
  assert.equal(asked, 2);
  assert.deepEqual(errors, []);
  // Signed out: the fresh token is refused as well. No third attempt.
  delete good.t2;
  client.wish(post, 'like', false);
  await client.settled();
  assert.equal(site.writes().length, 4);
  assert.deepEqual(errors.map(({ code, dropped }) => [code, dropped]).at(0), [
    'unauthenticated',
    true,
  ]);
  assert.ok((await held(service, post, 7)).mine);
});

test('a token callback that throws, rejects or never settles is asked again, and the wish waits', async (t) => {
  authenticating({ t1: 7 });
  const ways = [
    () => {
      throw new Error('no session');
    },
    () => Promise.reject(new Error('offline')),
    () => new Promise(() => {}),
    () => 't1',
  ];
  let n = 0;
  const { client, errors } = nodeClient(t, site, {
    timeoutMs: 1_500,
    token: () => ways[Math.min(n++, 3)](),
  });
  client.tap(post, 'like');
  await client.settled();
  assert.ok((await held(service, post, 7)).mine);
  assert.equal(n, 4);
  assert.deepEqual(
    errors.map(({ code, dropped, message }) => [code, dropped, message]),
    [['token_failed', false, 'Error: no session']],
  );
  // Only this post: a late request of the earlier test's client may still come in.
  const own = site.requests.filter(({ path }) => path.includes(post));
  assert.equal(own.length, 1);
});

// ---- Ids and options

test('integer post ids are UUIDs and back', () => {
  assert.equal(postIdFromInteger(42), '6f6e6574-6170-8000-8000-00000000002a');
  const most = 2n ** 62n - 1n;
  for (const n of [0, 1, '42', 2 ** 53 - 1, 2n ** 53n + 1n, most])
    assert.equal(integerFromPostId(postIdFromInteger(n)), BigInt(n));
  assert.equal(postIdFromInteger(most), '6f6e6574-6170-8000-bfff-ffffffffffff');
  assert.equal(integerFromPostId('6F6E6574-6170-8000-8000-00000000002A'), 42n);
  for (const bad of [-1, 1.5, 2 ** 53, most + 1n, '', ' 1', '0x1', '1e3', 'x', NaN])
    assert.throws(() => postIdFromInteger(bad), RangeError, String(bad));
  for (const other of [newPost(), '6f6e6574-6170-8000-c000-000000000000', '42', ''])
    assert.equal(integerFromPostId(other), null);
});

test('what is numbered apart has kinds', () => {
  assert.equal(postIdFromInteger(42, 0), postIdFromInteger(42));
  assert.equal(postIdFromInteger(42, 1), '6f6e6574-6170-8000-8001-00000000002a');
  const most = 2 ** 48 - 1;
  assert.equal(postIdFromInteger(most, 16383), '6f6e6574-6170-8000-bfff-ffffffffffff');
  assert.equal(integerFromPostId(postIdFromInteger('7', 3)), (3n << 48n) | 7n);
  for (const kind of [-1, 1.5, 16384, NaN, '1', null, 1n])
    assert.throws(() => postIdFromInteger(1, kind), RangeError, String(kind));
  for (const bad of [most + 1, -1, 2n ** 62n]) assert.throws(() => postIdFromInteger(bad, 1), RangeError);
  // The index of an array is no kind.
  assert.throws(() => [1, 2].map(postIdFromInteger), /write n => postIdFromInteger\(n\)/);
});

test('the service takes such a post id', async () => {
  await other(service, postIdFromInteger(42), 1);
  assert.equal((await held(service, postIdFromInteger(42), 1)).count, 1);
});

test('spellings of an emoji have one key', () => {
  assert.equal(reactionKey('\u2764\uFE0F'), reactionKey('\u2764'));
  assert.notEqual(reactionKey('\u{1F44D}'), reactionKey('\u{1F44D}\u{1F3FD}'));
});

test('options that cannot be meant are refused', () => {
  for (const userId of [0, -1, 1.5, 2 ** 53, '', 'me', '.', '..', '_x', 'a b', 'é', '1/../2', '%41', 'x'.repeat(65), null])
    assert.throws(() => new Onetap({ baseUrl: '', userId }), TypeError, String(userId));
  assert.throws(() => new Onetap({ userId: 1, token: () => '' }), TypeError);
  for (const userId of [1, '9223372036854775807', 2n ** 62n, '01', 'auth0|a', '@a:b.example', 'a+b=c~d', '...', 'x'.repeat(64)])
    new Onetap({ baseUrl: 'http://127.0.0.1:9/', userId, live: false }).close();
});

test('a client of nobody reads', async (t) => {
  const { watch, shown } = nodeClient(t, site, { userId: undefined });
  await other(service, post, 5);
  await watch(post);
  assert.deepEqual(shown(post), { count: 1, mine: false, pending: false });
});
