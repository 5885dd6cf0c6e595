// Answers that are not the service's: of a proxy while the backend is replaced, of a portal, of
// whatever else answers at the address. They decide nothing, for taps, reads and streams.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

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

const html = { 'Content-Type': 'text/html' };
const json = { 'Content-Type': 'application/json' };

for (const [what, answer] of Object.entries({
  '404 in HTML': { status: 404, headers: html, body: '<h1>404 page not found' },
  '403 in HTML': { status: 403, headers: html, body: '<h1>Forbidden' },
  '401 in HTML': { status: 401, headers: html, body: '<h1>Who are you?' },
  '502 in HTML': { status: 502, headers: html, body: '<h1>Bad gateway' },
  '200 in HTML': { status: 200, headers: html, body: '<h1>Back soon' },
  '400 without a word': { status: 400 },
  '410 without a word': { status: 410 },
  '404 in JSON': { status: 404, headers: json, body: '{"message":"no Route matched"}' },
  '404 with a number as code': { status: 404, headers: json, body: '{"code":404}' },
  '403 with a foreign code': { status: 403, headers: json, body: '{"code":"AccessDenied"}' },
  '403 with an object as code': { status: 403, headers: json, body: '{"code":{}}' },
  '422 in JSON that is no object': { status: 422, headers: json, body: '"code"' },
})) {
  test(`a proxy answers ${what} for a while: the tap is counted, the stream comes back`, async (t) => {
    t.mock.method(Math, 'random', () => 0.05);
    const { client, shown, errors, watch } = nodeClient(t, site, { live: true });
    await watch(post);
    await until('the stream is open', () => site.streams().length);
    site.faults = () => ({ answer });
    for (const socket of site.open) socket.destroy();
    site.requests.length = 0;
    client.tap(post, 'like');
    const fresh = newPost();
    client.watch(fresh);
    await until(
      'each of them has met it twice',
      () => site.writes().length > 1 && site.reads().length > 1 && site.streams().length > 1,
    );
    assert.ok(shown(post).pending);
    site.faults = () => undefined;
    await client.settled();
    assert.deepEqual(await held(service, post, 1), { count: 1, mine: true });
    assert.equal(new Set(site.writes().map(({ key }) => key)).size, 1);
    await until('the other post is read', () => client.state(fresh));
    await other(service, fresh, 5);
    await until('the stream is there again', () => shown(fresh).count === 1);
    assert.ok(errors.every(({ dropped }) => !dropped));
  });
}

/** A moment in the forms that HTTP has for it. */
function forms(date) {
  const [, day, month, year, time] = /(\d\d) (\w+) (\d+) (\S+) GMT/.exec(date.toUTCString());
  const short = date.toUTCString().slice(0, 3);
  const long = date.toLocaleDateString('en', { weekday: 'long', timeZone: 'UTC' });
  return [
    date.toUTCString(),
    `${long}, ${day}-${month}-${year.slice(2)} ${time} GMT`,
    `${short} ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`,
  ];
}

test('every form of Retry-After counts, up to a minute, whoever asks and whatever time it is here', async (t) => {
  const zone = process.env.TZ;
  process.env.TZ = 'Asia/Kolkata';
  t.after(() => (zone === undefined ? delete process.env.TZ : (process.env.TZ = zone)));
  const now = new Date('2031-02-03T04:05:06Z');
  const soon = forms(new Date(now.getTime() + 30_000));
  const later = forms(new Date(now.getTime() + 3_600_000));
  const past = forms(new Date(now.getTime() - 1_000));
  const cases = [
    ...['30', '30, 30', ...soon].map((text) => [text, 30_000]),
    ...['3600', '99999999999999999999', ...later].map((text) => [text, 60_000]),
    ...['0', '-30', '', 'soon', ...past].map((text) => [text, 0]),
  ];
  for (const [text, ms] of cases) {
    for (const body of ['<h1>Back soon', '{"code":"overloaded"}']) {
      const headers = { Date: now.toUTCString(), 'Retry-After': text };
      site.faults = () => ({ answer: { status: 503, headers, body } });
      const { client, errors } = nodeClient(t, site);
      client.tap(newPost(), 'like');
      await until('the answer is there', () => errors.length);
      assert.equal(errors[0].retryMs, ms, `${text} ${body}`);
      client.close();
    }
  }
});

test('a foreign answer’s time is kept, a tap meanwhile or not', async (t) => {
  let n = 0;
  const date = new Date();
  const headers = { ...html, Date: date.toUTCString() };
  headers['Retry-After'] = new Date(date.getTime() + 2_000).toUTCString();
  // Only this post: clients of earlier tests may still send something as they close.
  const sent = () => site.writes().filter(({ path }) => path.includes(post));
  site.faults = ({ path }) =>
    path.includes(post) && !n++ ? { answer: { status: 404, headers, body: '<h1>No' } } : undefined;
  const { client, errors } = nodeClient(t, site);
  client.tap(post, 'like');
  await until('the first is answered', () => errors.length);
  client.tap(newPost(), 'like'); // Would end any other pause.
  await client.settled();
  const [first, second] = sent();
  assert.ok(second.at - first.at >= 2_000, `${second.at - first.at} ms`);
});
