// What the demo page costs (`make demo-figures`): measured in Chromium, with an empty cache and then with a full one,
// on this machine and over a simulated phone connection.

import { startBrowser } from '../support/browser.js';
import { startService } from '../support/service.js';

const ROUNDS = 9;
/** A slow 4G as Lighthouse simulates it: 150 ms there and back, 1.6 Mbit/s down, 750 kbit/s up. */
const PHONE = { offline: false, latency: 150, downloadThroughput: (1.6e6 / 8), uploadThroughput: (750e3 / 8) };

const [browser, service] = await Promise.all([startBrowser(), startService()]);

/** One visit: bytes over the wire, requests, ms until the first button with its count is shown, and what moved. */
async function visit(context, network) {
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send('Network.enable');
  if (network) await devtools.send('Network.emulateNetworkConditions', network);
  const bytes = new Map();
  devtools.on('Network.requestWillBeSent', ({ requestId, request }) => request.url.startsWith('data:') || bytes.set(requestId, 0));
  devtools.on('Network.responseReceived', ({ requestId, response }) => bytes.has(requestId) && bytes.set(requestId, response.encodedDataLength));
  devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => bytes.has(requestId) && bytes.set(requestId, encodedDataLength));
  await page.addInitScript(() => {
    globalThis.figures = { shift: 0 };
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) figures.shift += entry.value; }).observe({ type: 'layout-shift', buffered: true });
    const look = () => {
      const bar = document.querySelector('[data-side=onetap] onetap-bar');
      if (bar?.shadowRoot?.querySelector('.count')?.textContent) figures.first = performance.now();
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
    // The delays that the demo itself makes up are no figures of its own: its bad network is switched off in time.
    document.addEventListener('readystatechange', () => {
      const slow = document.querySelector('[data-do=slow]');
      if (slow) slow.checked = false;
    });
  });
  await page.goto(`${service.url}/demo#${THREAD}`);
  await page.waitForFunction(() => globalThis.figures.first);
  await page.waitForTimeout(1_000);
  const { first, shift } = await page.evaluate(() => globalThis.figures);
  await page.close();
  return { requests: bytes.size, bytes: [...bytes.values()].reduce((sum, n) => sum + n, 0), first, shift };
}

const THREAD = '0192f0c1-2345-7890-abcd-ef0123456789';
const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

// So that there is a count to be seen.
await fetch(`${service.url}/v1/posts/${THREAD.slice(0, -1)}1/reactions/like/users/1`, { method: 'PUT' });
const rows = [];
for (const [name, network] of [['this machine', undefined], ['a slow 4G, simulated', PHONE]]) {
  const [empty, full] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
    empty.push(await visit(context, network));
    full.push(await visit(context, network));
    await context.close();
  }
  for (const [cache, visits] of [['empty', empty], ['full', full]]) {
    const of = (figure) => median(visits.map((visit) => visit[figure]));
    rows.push({ network: name, cache, requests: of('requests'), 'kB over the wire': (of('bytes') / 1000).toFixed(1), 'ms to the first count': Math.round(of('first')), 'layout shift (worst)': Math.max(...visits.map(({ shift }) => shift)) });
  }
}
console.table(rows);
await Promise.all([browser.close(), service.stop()]);
