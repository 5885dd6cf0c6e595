// The token endpoints of docs/frontend.md: private posts, with back ends in Django, Express and Rails.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import express from 'express';

import { startForum } from './support/forum.js';
import { readGuide } from './support/guide.js';
import { startService } from './support/service.js';

const POST = '6f6e6574-6170-8000-8000-000000000029'; // 41
const SECOND = '6f6e6574-6170-8000-8000-00000000002a'; // 42
const MISSING = '6f6e6574-6170-8000-8000-00000000002b';

let folder, secret, service, forum, shop, club;

/** The guide's Express router in an application whose session is a header. */
async function startExpress() {
  // Beside the packages, so that its imports are found.
  const module = fileURLToPath(new URL(`../node_modules/.tokens-${process.pid}.mjs`, import.meta.url));
  await writeFile(module, readGuide('frontend.md').snippets.get('tokens.js'));
  process.env.ONETAP_SECRET_FILE = secret;
  const { onetapTokens } = await import(pathToFileURL(module));
  await rm(module);
  const userOf = (request) => request.get('x-session');
  const maySee = async (user, id) => [POST, SECOND].includes(id);
  const server = express().use(onetapTokens(userOf, maySee)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cookie: (user) => ({ 'X-Session': String(user) }),
    stop: () => server.close(),
  };
}

/** The guide's controller in a Rails application whose session is a header. */
async function startRails() {
  const controller = join(folder, 'onetap_tokens_controller.rb');
  await writeFile(controller, readGuide('frontend.md').snippets.get('onetap_tokens_controller.rb'));
  const runner = fileURLToPath(new URL('support/rails_forum.rb', import.meta.url));
  const env = { ...process.env, ONETAP_SECRET_FILE: secret };
  const child = spawn('ruby', [runner, controller, POST, SECOND], { env });
  let log = '';
  child.stderr.on('data', (text) => (log += text));
  child.on('error', () => (log = 'Rails is not there: `make web-tools` installs it'));
  const gone = once(child, 'close').catch(() => []);
  const [url] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), gone]);
  if (typeof url !== 'string') throw new Error(`Rails ended: ${log}`);
  return {
    url,
    cookie: (user) => ({ 'X-Session': String(user) }),
    async stop() {
      child.stdin.end();
      await gone;
    },
  };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onetap-tokens-'));
  secret = join(folder, 'secret');
  await writeFile(secret, 'thirty-two bytes, or a few more.\n');
  service = await startService({ args: ['--jwt-hs256-secret-file', secret, '--require-post-grant'] });
  // One after the other, so that what runs is stopped if the next one does not start.
  forum = await startForum(service, secret);
  shop = await startExpress();
  club = await startRails();
});
after(async () => {
  await Promise.all([service, forum, shop, club].map((running) => running?.stop()));
  await rm(folder, { recursive: true });
});

const BACKENDS = { Django: () => forum, Express: () => shop, Rails: () => club };

for (const [name, backend] of Object.entries(BACKENDS)) {
  const send = (body, user) =>
    fetch(`${backend().url}/forum/onetap-token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(user ? backend().cookie(user) : {}) },
      body,
    });
  const ask = (posts, user) => send(JSON.stringify({ post_ids: posts }), user);
  const call = (token, path, options = {}) =>
    fetch(service.url + path, { ...options, headers: { Authorization: `Bearer ${token}` } });

  test(`${name}: a token is good for its user, and for the posts that this user may see`, async () => {
    const answer = await ask([POST], 7);
    assert.equal(answer.status, 200);
    const { token } = await answer.json();
    const path = `/v1/posts/${POST}/reactions`;
    const tapped = await call(token, `${path}/like/users/me`, { method: 'PUT' });
    const { user_id, active } = await tapped.json();
    assert.deepEqual([user_id, active], ['7', true]);
    const { reactions } = await (await call(token, path)).json();
    assert.equal(reactions[0].mine, true);
    assert.equal((await call(token, `${path}/like/users/8`, { method: 'PUT' })).status, 403);
    assert.equal((await call(token, `/v1/posts/${SECOND}/reactions`)).status, 403, 'not named');

    const closing = new AbortController();
    const { signal } = closing;
    const stream = await call(token, `/v1/posts/reactions/stream?post_id=${POST}`, { signal });
    assert.equal(stream.status, 200);
    closing.abort();
    const foreign = await call(token, `/v1/posts/reactions/stream?post_id=${POST}&post_id=${SECOND}`);
    assert.deepEqual([foreign.status, (await foreign.json()).code], [403, 'forbidden']);
    await call(token, `${path}/like/users/me`, { method: 'DELETE' });
  });

  test(`${name}: nobody gets a token who is not signed in, and for no post that is not there`, async () => {
    assert.equal((await ask([POST], null)).status, 403);
    assert.equal((await ask([POST, MISSING], 7)).status, 404);
    for (const [body, detail] of [
      ['{}', 'post_ids is not a list of post ids'],
      ['[]', 'post_ids is not a list of post ids'],
      ['{"post_ids":null}', 'post_ids is not a list of post ids'],
      [`{"post_ids":"${POST}"}`, 'post_ids is not a list of post ids'],
      ['{"post_ids":[7]}', 'post_ids is not a list of post ids'],
      [`{"post_ids":[["${POST}"]]}`, 'post_ids is not a list of post ids'],
      [`{"post_ids":["${POST}"`, undefined], // The framework's own words.
    ]) {
      const refused = await send(body, 7);
      assert.equal(refused.status, 400, body);
      if (detail) assert.equal((await refused.json()).detail, detail, body);
    }
    const guest = await fetch(`${service.url}/v1/posts/${POST}/reactions`);
    assert.deepEqual([guest.status, (await guest.json()).code], [401, 'unauthenticated']);
  });
}
