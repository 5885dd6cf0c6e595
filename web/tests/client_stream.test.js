// The client against a stream whose bytes the test sends itself. client_live.test.js has the same over
// the real service.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { gate, nodeClient } from './support/node_client.js';
import { newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';
import { ownStreams } from './support/stream.js';

let service, site, post, streams;
before(async () => {
  service = await startService();
  site = await startSite({ service });
});
after(() => Promise.all([service.stop(), site.stop()]));
beforeEach(() => {
  site.faults = () => undefined;
  site.requests.length = 0;
  streams = ownStreams(site);
  post = newPost();
});

const AHEAD = 10 ** 15 * 4; // A revision that no test's service has reached.
const liveClient = (t, options = {}) => nodeClient(t, site, { live: true, ...options });
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const opened = (n = 1) =>
  until(`stream ${n} is open`, () => streams.opened.length === n && streams.opened[n - 1]);

test('one stream for all that is watched, and a new one when more is', async (t) => {
  const { client, shown } = liveClient(t, { recent: 2 });
  const posts = [post, newPost(), newPost()];
  for (const id of posts) client.watch(id);
  const stream = await opened();
  assert.deepEqual([...stream.posts].sort(), [...posts].sort());
  assert.ok(stream.request.path.endsWith('&recent=2'));
  assert.equal(stream.request.headers.accept, '*/*');
  stream.summary(post, AHEAD, { like: 3 });
  await until('it is shown', () => shown(post).count === 3);
  client.watch(newPost());
  const second = await opened(2);
  assert.equal(second.posts.length, 4);
  await until('the first is closed', () => !stream.isOpen());
});

test('above a hundred posts there are up to three streams, the newest posts first', async (t) => {
  const { client, shown } = liveClient(t);
  const posts = Array.from({ length: 300 }, newPost);
  const newestFirst = posts.toReversed();
  const [old, rest] = [posts.slice(0, 180), posts.slice(180)];
  for (const id of old) client.watch(id);
  const streamed = (...slices) =>
    until(`there are ${slices.length}`, () => {
      const open = streams.opened.filter((stream) => stream.isOpen()).map(({ posts }) => posts);
      return open.length === slices.length && slices.every((ids) => open.some((of) => same(of, ids)));
    });
  await streamed(newestFirst.slice(120, 220), newestFirst.slice(220));
  for (const id of rest) client.watch(id);
  await streamed(...[0, 100, 200].map((at) => newestFirst.slice(at, at + 100)));
  for (const stream of streams.opened.slice(2)) stream.summary(stream.posts[99], AHEAD, { like: 3 });
  for (const at of [99, 199, 299])
    await until('its event is shown', () => shown(newestFirst[at]).count === 3);
});

test('above three hundred the oldest take turns on the third stream', async (t) => {
  const real = setTimeout;
  t.mock.method(globalThis, 'setTimeout', (work, ms, ...rest) =>
    real(work, ms === 5_000 ? 100 : ms, ...rest),
  );
  const { client, shown, errors } = liveClient(t, { timeoutMs: 4_000 });
  const posts = Array.from({ length: 450 }, newPost);
  const newestFirst = posts.toReversed();
  for (const id of posts) client.watch(id);
  const stay = [0, 100].map((at) => newestFirst.slice(at, at + 100));
  const stays = (stream) => stay.some((ids) => same(ids, stream.posts));
  const turns = () => streams.opened.filter((stream) => !stays(stream)).map(({ posts }) => posts);
  await until('they have had four turns', () => turns().length >= 4);
  const [first, second, third, fourth] = turns();
  assert.deepEqual([...first, ...second, ...third.slice(0, 50)], newestFirst.slice(200));
  assert.deepEqual([...third.slice(50), ...fourth.slice(0, 50)], first, 'and again');
  const newest = streams.opened.filter(stays);
  assert.deepEqual(
    newest.map((stream) => stream.isOpen()),
    [true, true],
    'the newest stay',
  );
  await until('three are open', () => streams.opened.filter((s) => s.isOpen()).length === 3);
  for (const id of [newestFirst[0], newestFirst[449]]) {
    await until('it is heard of', () => {
      for (const stream of streams.opened)
        if (stream.isOpen() && stream.posts.includes(id)) stream.summary(id, AHEAD, { like: 2 });
      return shown(id).count === 2;
    });
  }
  assert.deepEqual(errors, []);
});

test('what is no longer watched is streamed no more once it is the larger part', async (t) => {
  const { client } = liveClient(t);
  const posts = Array.from({ length: 3 }, newPost);
  const stops = posts.map((id) => client.watch(id));
  const stream = await opened();
  stops[0]();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(stream.isOpen());
  stops[1]();
  assert.deepEqual((await opened(2)).posts, [posts[2]]);
});

test('nothing watched, no stream; closed with the last, and by close()', async (t) => {
  const { client } = liveClient(t);
  const stop = client.watch(post);
  const stream = await opened();
  stop();
  await until('it is closed', () => !stream.isOpen());
  client.watch(post);
  const second = await opened(2);
  client.close();
  await until('it is closed', () => !second.isOpen());
});

test('events come through in whatever pieces and line ends, with comments and unknown fields between', async (t) => {
  const { client, shown, errors } = liveClient(t);
  client.watch(post);
  const stream = await opened();
  let revision = AHEAD;
  const event = (count, nl) => {
    const [head, tail] = JSON.stringify({
      post_id: post,
      revision: ++revision,
      locked: false,
      total: count,
      reactions: [{ reaction: '\u{1F44D}', count }],
    }).split(/(?<="total":)/);
    return [
      ': keep-alive',
      '',
      'event: summary',
      `id: ${revision}`,
      'retry: 10',
      `data: ${head}`,
      `data:${tail}`,
      '',
      '',
    ].join(nl);
  };
  let count = 0;
  for (const nl of ['\n', '\r\n', '\r']) {
    for (const size of [1, 2, 7, 1000]) {
      count += 1;
      const bytes = Buffer.from(event(count, nl) + (nl === '\r' ? ':\n' : ''));
      for (let at = 0; at < bytes.length; at += size) {
        stream.write(bytes.subarray(at, at + size));
        if (size > 2) await new Promise((resolve) => setImmediate(resolve));
      }
      await until(
        `event ${count} is shown (${JSON.stringify(nl)}, ${size})`,
        () => shown(post, '\u{1F44D}').count === count,
        3000,
      );
    }
  }
  assert.deepEqual([errors, streams.opened.length], [[], 1]);
});

test('a line end that is cut in two is one line end', async (t) => {
  const { client, shown } = liveClient(t);
  client.watch(post);
  const stream = await opened();
  const head = `{"post_id":"${post}","revision":${AHEAD},`;
  const tail = '"reactions":[{"reaction":"like","count":4}]}';
  for (const piece of [`data: ${head}\r`, `\ndata: ${tail}\r`, '\n\r', '\n']) {
    stream.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await until('it is shown', () => shown(post).count === 4);
  assert.equal(streams.opened.length, 1);
});

test("what is older than what is shown is not taken; another post's is nobody's", async (t) => {
  const { client, shown } = liveClient(t);
  client.watch(post);
  const stream = await opened();
  stream.summary(post, AHEAD, { like: 5 });
  stream.summary(post, AHEAD - 1, { like: 4 });
  stream.summary(newPost(), AHEAD + 5, { like: 9 });
  stream.summary(post, AHEAD + 1, { like: 5, love: 1 });
  await until('the last is taken', () => shown(post, 'love').count === 1);
  assert.equal(shown(post).count, 5);
});

test('an event says nothing of the own flag', async (t) => {
  await other(service, post, 1);
  const { client, shown } = liveClient(t);
  client.watch(post);
  const stream = await opened();
  await until('the own flag is known', () => shown(post).mine);
  stream.summary(post, AHEAD, { like: 2 });
  await until('it is shown', () => shown(post).count === 2);
  assert.equal(shown(post).mine, true);
  stream.summary(post, AHEAD + 1, {});
  await until('nobody has it, so neither has this user', () => !shown(post).mine);
  stream.summary(post, AHEAD + 2, { like: 1 });
  await until('it is another who has it now', () => shown(post).count === 1);
  assert.equal(shown(post).mine, false);
});

test('an event with the own write in it, before its answer, is not counted twice', async (t) => {
  await other(service, post, 2);
  const slow = gate();
  const { client, shown, states } = liveClient(t);
  client.watch(post);
  const stream = await opened();
  await until('the post is known', () => shown(post).count === 1);
  const streaming = site.faults;
  site.faults = (request, n) =>
    request.method === 'PUT' ? { late: slow.closed } : streaming(request, n);
  client.tap(post, 'like');
  await until('it is counted', () => site.writes()[0]?.status);
  stream.summary(post, AHEAD, { like: 2, love: 1 });
  await until('the rest of the event is shown', () => shown(post, 'love').count === 1);
  assert.deepEqual(shown(post), { count: 2, mine: true, pending: true });
  slow.open();
  await client.settled();
  stream.summary(post, AHEAD + 1, { like: 3, love: 1 });
  await until('the next is shown', () => shown(post).count === 3);
  const counts = states.map(
    ({ reactions }) => reactions.find((r) => r.reaction === 'like')?.count ?? 0,
  );
  assert.deepEqual(
    counts.filter((count, i) => count !== counts[i - 1]),
    [1, 2, 3],
    'never up and down again',
  );
});

test("an event with others' taps, during a write, is shown with its answer", async (t) => {
  const slow = gate();
  const { client, shown } = liveClient(t);
  client.watch(post);
  const stream = await opened();
  await until('the post is known', () => client.state(post));
  const streaming = site.faults;
  site.faults = (request, n) =>
    request.method === 'PUT' ? { late: slow.closed } : streaming(request, n);
  client.tap(post, 'like');
  stream.summary(post, AHEAD, { like: 8 });
  stream.summary(post, AHEAD + 1, { like: 9 });
  slow.open();
  await client.settled();
  assert.deepEqual(shown(post), { count: 9, mine: true, pending: false });
});

test('a stream that ends or breaks is opened again, and its snapshot counts whatever was known', async (t) => {
  const { client, shown } = liveClient(t);
  client.watch(post);
  (await opened()).summary(post, AHEAD, { like: 5 });
  await until('it is shown', () => shown(post).count === 5);
  streams.opened[0].end();
  (await opened(2)).summary(post, AHEAD - 1000, { like: 4 }); // The clock was set back.
  await until('the snapshot is shown', () => shown(post).count === 4);
  streams.opened[1].cut();
  const third = await opened(3);
  third.write('data: this is no JSON\n\n');
  (await opened(4)).summary(post, AHEAD, { like: 6 });
  await until('it goes on', () => shown(post).count === 6);
});

test('a stream that is silent for forty seconds is given up; a comment is a sign of life', async (t) => {
  // The test decides when its forty seconds are over.
  const [set, clear, waits] = [setTimeout, clearTimeout, []];
  t.mock.method(globalThis, 'setTimeout', (work, ms) =>
    ms === 40_000 ? waits[waits.push({ work }) - 1] : set(work, ms),
  );
  t.mock.method(globalThis, 'clearTimeout', (timer) =>
    waits.includes(timer) ? (timer.over = true) : clear(timer),
  );
  const { client, errors } = liveClient(t);
  client.watch(post);
  const stream = await opened();
  await until('it waits', () => waits.length);
  for (let i = 0; i < 8; i += 1) {
    const before = waits.length;
    stream.write(': keep-alive\n\n');
    await until('it waits anew', () => waits.length > before);
    assert.ok(waits.slice(0, -1).every(({ over }) => over) && !waits.at(-1).over);
  }
  assert.ok(stream.isOpen());
  waits.at(-1).work();
  await until('it is given up', () => !stream.isOpen());
  await opened(2);
  assert.deepEqual(errors, []);
});

test('a service without streams: the page does without, and nothing is told', async (t) => {
  site.faults = ({ path }) =>
    path.includes('/stream')
      ? { answer: { status: 404, body: '{"code":"not_found"}' } }
      : undefined;
  const { client, watch, shown, errors } = liveClient(t);
  await watch(post);
  await until('the stream was asked for', () => site.streams().length === 1);
  client.tap(post, 'like');
  await client.settled();
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  assert.deepEqual([site.streams().length, errors.length, shown(post).count], [1, 0, 1]);
});

for (const [what, answer] of Object.entries({
  HTML: { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<h1>Welcome</h1>' },
  204: { status: 204 },
  'a redirect': { status: 302, headers: { Location: '/login' } },
  503: { status: 503, body: '{"code":"overloaded"}' },
})) {
  test(`a stream that is answered with ${what} is asked for again`, async (t) => {
    const streaming = site.faults;
    let n = 0;
    site.faults = (request, i) =>
      request.path.includes('/stream') && !n++ ? { answer } : streaming(request, i);
    const { client, errors } = liveClient(t);
    client.watch(post);
    await opened();
    assert.deepEqual(
      errors.map(({ code, dropped }) => [code, dropped]),
      [[what === '503' ? 'overloaded' : 'unexpected_answer', false]],
    );
  });
}

test('the stream has the token, asked for again once when it is refused', async (t) => {
  const streaming = site.faults;
  site.faults = (request, i) =>
    request.headers.authorization === 'Bearer new'
      ? streaming(request, i)
      : { answer: { status: 401, body: '{"code":"unauthenticated"}' } };
  let token = 'old';
  const { client, errors } = liveClient(t, { token: () => token, userId: undefined });
  client.watch(post);
  await until(
    'it was refused, twice for the read and the stream each',
    () => site.requests.length >= 4 && errors.length >= 1,
  );
  token = 'new';
  assert.ok(errors.every(({ code, dropped }) => code === 'unauthenticated' && dropped));
  client.watch(newPost());
  assert.equal((await opened()).request.headers.authorization, 'Bearer new');
});

test('when the stream is there again, what waits is sent', async (t) => {
  let failed = 0;
  const counting = (...args) =>
    fetch(...args).catch((error) => {
      setImmediate(() => (failed += 1)); // When the client has begun to wait.
      throw error;
    });
  const { client } = liveClient(t, { fetch: counting });
  client.watch(post);
  const stream = await opened();
  const streaming = site.faults;
  t.mock.method(Math, 'random', () => 0.999);
  site.faults = (request, n) =>
    request.method === 'PUT' ? { drop: 'before' } : streaming(request, n);
  stream.cut();
  client.tap(post, 'like');
  await until('three attempts have failed', () => failed === 3);
  const second = await until('it is open again', () => streams.opened[1]);
  site.faults = streaming;
  const told = Date.now();
  second.summary(post, AHEAD, {});
  await client.settled();
  assert.ok(Date.now() - told < 2_000, 'the pause of the write alone would have been four seconds');
});

test('what comes before it is known what the user has is shown with that', async (t) => {
  const held = gate();
  const faults = site.faults;
  site.faults = (request, n) =>
    request.method === 'GET' && !request.path.includes('/stream')
      ? { late: held.closed }
      : faults(request, n);
  await other(service, post, 1);
  const { client, shown, states, known } = liveClient(t);
  client.watch(post);
  const stream = await opened();
  stream.summary(post, AHEAD, { like: 5 });
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(client.state(post), undefined);
  assert.deepEqual(states, []);
  held.open();
  await known(post);
  assert.deepEqual(shown(post), { count: 5, mine: true, pending: false });
  client.tap(post, 'like');
  assert.deepEqual(shown(post), { count: 4, mine: false, pending: true });
  await client.settled();
  assert.equal(site.requests.filter(({ method }) => method === 'DELETE').length, 1);
});

test("the wait before a reconnect is a random part of the service's `retry`, doubled each time", async (t) => {
  const waits = [];
  const real = setTimeout;
  t.mock.method(Math, 'random', () => 0.5);
  t.mock.method(globalThis, 'setTimeout', (work, ms, ...rest) => {
    const isPause = [500, 1_000, 1_200, 2_400].includes(ms);
    if (isPause) waits.push(ms);
    return real(work, isPause ? 20 : ms, ...rest);
  });
  const { client, errors } = liveClient(t);
  client.watch(post);
  (await opened()).end(); // It has not said any.
  (await opened(2)).write('retry: 2400\n\n');
  streams.opened[1].write('retry: soon\n\nretry: 0\n\n');
  await new Promise((resolve) => real(resolve, 100));
  streams.opened[1].end(); // Without an event: the second attempt in vain.
  const third = await opened(3);
  third.summary(post, AHEAD, { like: 1 });
  await until('it is taken', () => client.state(post)?.total === 1);
  third.end();
  await opened(4);
  assert.deepEqual([waits, errors], [[500, 2_400, 1_200], []]);
});
