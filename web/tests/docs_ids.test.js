// Every snippet of docs/ids.md does what it says.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';

import * as onetapJs from '../dist/onetap.js';
import { readGuide } from './support/guide.js';
import { nodeClient } from './support/node_client.js';
import { held, newPost } from './support/posts.js';
import { startService, until } from './support/service.js';

const { text: GUIDE, snippets: SNIPPETS } = readGuide('ids.md');

let service;
before(async () => {
  service = await startService({ args: ['--user-ids', 'text'] });
});
after(() => service.stop());

const used = new Set();
function snippet(name) {
  used.add(name);
  return SNIPPETS.get(name) ?? assert.fail(`no snippet ${name}`);
}

const AsyncFunction = (async () => {}).constructor;
/** What a snippet of JavaScript leaves in these variables. */
const results = (code, variables, given = {}) =>
  new AsyncFunction(...Object.keys(given), `${code}; return { ${variables} };`)(...Object.values(given));

const python = (code, expression) =>
  execFileSync('python3', ['-c', `${code}\nprint(${expression})`], { encoding: 'utf8' }).trim();

test('a text id taps and reads', async () => {
  const { answer, summary } = await results(snippet('text'), 'answer, summary', { onetap: service.url });
  assert.equal(answer.user_id, 'auth0|5f7c8ec7c33c6c004bbafe82');
  assert.deepEqual([answer.active, answer.count, summary.reactions[0].mine], [true, 1, true]);
});

test('the ids of the table tap through the client', async (t) => {
  const table = GUIDE.split('| users from |')[1].split('\n\n')[0];
  const ids = [...table.matchAll(/\| `(.+?)` \|$/gm)].map(([, id]) => id.replace('\\|', '|'));
  assert.equal(ids.length, 5);
  for (const userId of ids) {
    const post = newPost();
    const { client, watch, shown, errors } = nodeClient(t, service, { baseUrl: service.url, userId });
    await watch(post);
    client.tap(post, 'like');
    await client.settled();
    assert.deepEqual([shown(post).count, shown(post).mine, errors], [1, true, []], userId);
    const mine = async () => (await held(service, post, encodeURIComponent(userId))).mine;
    await until('the service has it', mine);
  }
});

test('what is numbered apart has ids of its own', async () => {
  const [imports] = snippet('kinds').split('\n\n', 1);
  assert.match(imports, /^import \{ .* \} from '.\/onetap.js';$/);
  const rest = snippet('kinds').slice(imports.length);
  const { post, comment, photo, kind, number } = await results(rest, 'post, comment, photo, kind, number', onetapJs);
  assert.equal(post, onetapJs.postIdFromInteger(7));
  assert.equal(comment, '6f6e6574-6170-8000-8001-000000000007');
  assert.equal(photo, '6f6e6574-6170-8000-8002-000000000007');
  assert.deepEqual([kind, number], [1, 7n]);
  const { postIdFromInteger } = onetapJs;
  for (const [n, of] of [[7, 0], [7, 1], [2 ** 48 - 1, 16383], [0, 5], [2 ** 50, 0]])
    assert.equal(python(snippet('kinds.py'), `post_id(${n}, ${of})`), postIdFromInteger(n, of));
  for (const [n, of] of [[2 ** 48, 1], [1, 16384], [1, -1], [-1, 0]])
    assert.throws(() => python(`${snippet('kinds.py')}\nimport sys; sys.stderr = None`, `post_id(${n}, ${of})`));
  // The service takes them all, as posts of their own.
  for (const id of [post, comment, photo]) {
    const path = `/v1/posts/${id}/reactions/like/users/anna`;
    const response = await fetch(service.url + path, { method: 'PUT' });
    assert.deepEqual([response.status, (await response.json()).count], [201, 1]);
  }
});

test('a slug has one id', async () => {
  const id = python(snippet('slugs.py'), 'post_id("first-post")');
  assert.equal(id, python(snippet('slugs.py'), 'post_id("first-post")'));
  assert.notEqual(id, python(snippet('slugs.py'), 'post_id("second-post")'));
  const response = await fetch(`${service.url}/v1/posts/${id}/reactions/like/users/anna`, { method: 'PUT' });
  assert.equal(response.status, 201);
});

test('no snippet is left out, and no code stands outside of one', () => {
  assert.deepEqual([...SNIPPETS.keys()].sort(), [...used].sort());
  assert.equal(GUIDE.match(/^```\w+$/gm).length, SNIPPETS.size);
});
