// Double taps on a bad network, and tabs that are closed: a short form of `make double-taps`.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { closedTabs, withOnetap, withToggle } from './figures/double-taps.js';
import { startBrowser } from './support/browser.js';
import { startService } from './support/service.js';

const TAPS = 20;

let browser, service;
before(async () => {
  [browser, service] = await Promise.all([startBrowser(), startService()]);
});
after(() => Promise.all([browser.close(), service.stop()]));

test('with onetap every double tap ends as it was meant', async () => {
  const { right, requests } = await withOnetap(browser, service, TAPS);
  assert.equal(right, TAPS);
  assert.ok(requests >= TAPS, `${requests} writes`);
});

test('the network is bad enough for a toggle to fail', async () => {
  const { right } = await withToggle(browser, TAPS);
  assert.ok(right < TAPS / 2, `${right} of ${TAPS}`);
});

test('a tap whose tab is closed while the service is away is counted once the page is open again', async () => {
  assert.equal(await closedTabs(browser, 10), 10);
});

test('without an outbox it is not', async () => {
  const counted = await closedTabs(browser, 10, { outbox: false });
  assert.ok(counted < 5, `${counted} of 10`);
});
