// The client before a service that refuses what exceeds its rate limits.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { nodeClient } from './support/node_client.js';
import { held, newPost, other } from './support/posts.js';
import { startService, until } from './support/service.js';
import { startSite } from './support/site.js';

let service, site;
before(async () => {
  // A tap every two seconds, and five a second that remove.
  service = await startService({ args: ['--rate-limits=true', '--rate-limit-window', '240s'] });
  site = await startSite({ service });
});
after(() => Promise.all([service.stop(), site.stop()]));

test('a tap beyond the limit stays shown, waits, and counts once; an undo does not wait', async (t) => {
  const [undone, kept] = [newPost(), newPost()];
  await other(service, undone, 1);
  const { client, shown, watch } = nodeClient(t, site);
  await watch(undone);
  await watch(kept);
  // Until nothing is left: some of it comes back meanwhile.
  let refused = false;
  for (let n = 0; !refused && n < 500; n += 1) {
    const spent = newPost();
    refused = await other(service, spent, 1).then(
      () => false,
      (error) => /429/.test(String(error)),
    );
  }
  assert.ok(refused);
  client.tap(kept, 'like');
  await until('it is refused', () => site.writes().some(({ status }) => status === 429));
  assert.deepEqual(shown(kept), { count: 1, mine: true, pending: true });
  client.tap(undone, 'like');
  await client.settled();
  assert.deepEqual(shown(kept), { count: 1, mine: true, pending: false });
  assert.deepEqual(await held(service, kept, 1), { count: 1, mine: true });
  assert.deepEqual(await held(service, undone, 1), { count: 0, mine: false });
  const puts = site.writes().filter(({ method }) => method === 'PUT');
  const removals = site.writes().filter(({ method }) => method === 'DELETE');
  assert.equal(new Set(puts.map(({ key }) => key)).size, 1, 'with its key');
  assert.ok(puts[1].at - puts[0].at >= 1000, 'after Retry-After');
  assert.deepEqual(
    removals.map(({ status }) => status),
    [200],
  );
});
