// How many double taps end as the user meant, on a bad network: requests and answers are late by 0
// to 800 ms together, a tenth is lost (before or after the service has seen it), a tenth arrives
// twice. Once with onetap and its client, once with the toggle that forums write first: the front
// end sends a flip for each tap, the back end reads, flips and saves. And how many single taps are
// counted whose tab is closed while the service is away, once the page is opened again.
//
//   node web/tests/figures/double-taps.js [taps]     (`make double-taps`; the seed is fixed, the timing is real)

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { openClient, showsIn, startBrowser } from '../support/browser.js';
import { held, newPost, other } from '../support/posts.js';
import { freePort, startService } from '../support/service.js';
import { startSite } from '../support/site.js';

const LATE_MS = 800;
/** When the last twin has arrived, and would have undone what it could. */
const LAST_TWIN_MS = 2 * LATE_MS;
const LOST = 0.1;
const DOUBLED = 0.1;
/** Double taps under way at one time. */
const AT_ONCE = 25;
/** Tabs that are closed during one outage, how long it is, and how soon after its tap each goes. */
const TABS = 10;
const AWAY_MS = 5_000;
const CLOSED_WITHIN_MS = 800;

/** Random numbers that are the same in every run (mulberry32). */
export function seeded(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What befalls the next request. */
export function badNetwork(random) {
  const late = random() * LATE_MS;
  const there = random();
  const lost = random() < LOST;
  const doubled = random() < DOUBLED;
  return {
    hold: late * there,
    late: late * (1 - there),
    drop: lost ? (random() < 0.5 ? 'before' : 'after') : undefined,
    twice: doubled ? random() * LATE_MS : undefined,
  };
}

/**
 * The toggle that forums write first. Between reading and saving the database is asked, which takes
 * a moment.
 */
function naiveService() {
  const rows = new Map();
  const ms = (n) => new Promise((resolve) => setTimeout(resolve, n));
  return {
    rows,
    async toggle(post) {
      const active = rows.get(post) ?? false;
      await ms(3);
      rows.set(post, !active);
      return !active;
    },
  };
}

/**
 * Double taps on fresh posts, half of which the user had reacted to; `end` says what became of a
 * post.
 */
async function doubleTaps(page, taps, random, begin, end) {
  const posts = Array.from({ length: taps }, newPost);
  const before = posts.map((_, i) => i % 2 === 1);
  for (let at = 0; at < taps; at += AT_ONCE) {
    const some = posts.slice(at, at + AT_ONCE);
    await Promise.all(some.map((post, i) => begin(post, before[at + i])));
    const gaps = some.map(() => 60 + random() * 250);
    await page.evaluate(([some, gaps]) => tapTwice(some, gaps), [some, gaps]);
  }
  const ends = await Promise.all(posts.map(end));
  return ends.filter((active, i) => active === !before[i]).length;
}

/**
 * With onetap: how many of `taps` end as they were meant, and what it took. A test whose machine
 * may be busy has a longer gesture in `options`: its second taps may come late.
 */
export async function withOnetap(browser, service, taps, options = {}) {
  const random = seeded(1);
  const site = await startSite({ service });
  const context = await browser.newContext();
  const page = await openClient(context, site, { userId: 1, timeoutMs: 3_000, ...options });
  await page.evaluate(() => {
    globalThis.tapTwice = async (posts, gaps) => {
      const stops = posts.map((post) => client.watch(post));
      while (!posts.every((post) => client.state(post)))
        await new Promise((resolve) => setTimeout(resolve, 20));
      // The page may be late with the second tap; the user is not.
      const twice = async (post, gap) => {
        const at = performance.now();
        client.tap(post, 'like', at);
        await new Promise((resolve) => setTimeout(resolve, gap));
        client.tap(post, 'like', at + gap);
      };
      await Promise.all(posts.map((post, i) => twice(post, gaps[i])));
      await client.settled();
      for (const stop of stops) stop();
    };
  });
  site.faults = ({ method }) =>
    method === 'PUT' || method === 'DELETE' ? badNetwork(random) : undefined;
  const right = await doubleTaps(
    page,
    taps,
    random,
    (post, active) => active && other(service, post, 1),
    async (post) => {
      await page.waitForTimeout(LAST_TWIN_MS);
      return (await held(service, post, 1)).mine;
    },
  );
  const requests = site.writes().length;
  await context.close();
  await site.stop();
  return { right, requests };
}

/** With the naive toggle. */
export async function withToggle(browser, taps, seed = 1) {
  const random = seeded(seed);
  const naive = naiveService();
  let requests = 0;
  const server = await startSite({
    service: { url: 'http://127.0.0.1:9' },
    pages: { '/naive': '<!doctype html><title>naive</title><link rel="icon" href="data:,">' },
  });
  server.faults = async ({ path }) => {
    requests += 1;
    const post = path.split('/')[2];
    const { hold, late, drop, twice } = badNetwork(random);
    const ms = (n) => new Promise((resolve) => setTimeout(resolve, n));
    if (twice !== undefined && drop !== 'before') ms(hold + twice).then(() => naive.toggle(post));
    await ms(hold);
    const active = drop === 'before' ? undefined : await naive.toggle(post);
    return {
      hold: late,
      ...(drop
        ? { drop: 'before' }
        : { answer: { status: 200, body: JSON.stringify({ active }) } }),
    };
  };
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`${server.url}/naive`);
  await page.evaluate(() => {
    globalThis.tapTwice = (posts, gaps) => {
      const tap = (post) => fetch(`/naive/${post}/toggle`, { method: 'POST' }).catch(() => {});
      const twice = async (post, gap) => {
        const first = tap(post);
        await new Promise((resolve) => setTimeout(resolve, gap));
        await Promise.all([first, tap(post)]);
      };
      return Promise.all(posts.map((post, i) => twice(post, gaps[i])));
    };
  });
  const right = await doubleTaps(
    page,
    taps,
    random,
    (post, active) => naive.rows.set(post, active),
    async (post) => {
      await page.waitForTimeout(LAST_TWIN_MS);
      return naive.rows.get(post);
    },
  );
  await context.close();
  await server.stop();
  return { right, requests };
}

/**
 * How many of `taps` are counted, each by a user of its own while the service is away, whose tab is
 * closed at a random moment and opened again.
 */
export async function closedTabs(browser, taps, { outbox = undefined, seed = 1 } = {}) {
  const random = seeded(seed);
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const folder = await mkdtemp(join(tmpdir(), 'onetap-closed-tabs-'));
  const listen = `127.0.0.1:${await freePort()}`;
  const start = () => startService({ store: `file:${join(folder, 'taps.redb')}`, listen });
  let service = await start();
  const site = await startSite({ service });
  let counted = 0;
  for (let user = 1; user <= taps; user += TABS) {
    const context = await browser.newContext();
    const users = Array.from({ length: Math.min(TABS, taps - user + 1) }, (_, i) => user + i);
    const posts = users.map(newPost);
    const open = (userId, i) =>
      openClient(context, site, { userId, live: false, outbox }, [posts[i]]);
    const pages = await Promise.all(users.map(open));
    for (const [i, page] of pages.entries()) await showsIn(page, posts[i], {});
    await service.stop();
    const back = sleep(AWAY_MS).then(start);
    await Promise.all(
      pages.map(async (page, i) => {
        await page.evaluate((post) => client.tap(post, 'like'), posts[i]);
        await sleep(random() * CLOSED_WITHIN_MS);
        await page.close();
      }),
    );
    const again = await Promise.all(users.map(open));
    service = await back;
    for (const page of again) await page.evaluate(() => client.settled());
    for (const [i, userId] of users.entries())
      counted += (await held(service, posts[i], userId)).mine ? 1 : 0;
    await context.close();
  }
  await Promise.all([service.stop(), site.stop()]);
  await rm(folder, { recursive: true });
  return counted;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const taps = Number(process.argv[2] ?? 200);
  const [browser, service] = await Promise.all([startBrowser(), startService()]);
  const onetap = await withOnetap(browser, service, taps);
  const toggle = await withToggle(browser, taps);
  const closed = await closedTabs(browser, taps);
  console.log(
    `double taps that ended as they were meant (0 to ${LATE_MS} ms late, ${LOST * 100} % lost, ${DOUBLED * 100} % doubled):`,
  );
  console.log(
    `  onetap and its client    ${onetap.right} of ${taps}    ${onetap.requests} writes sent`,
  );
  console.log(
    `  read, flip, save         ${toggle.right} of ${taps}    ${toggle.requests} writes sent`,
  );
  console.log(
    `single taps that were counted, each in a tab that was closed within ${CLOSED_WITHIN_MS} ms while the service was away for ${AWAY_MS / 1000} s, then opened again:`,
  );
  console.log(`  onetap and its client    ${closed} of ${taps}`);
  await Promise.all([browser.close(), service.stop()]);
  process.exit(onetap.right === taps && closed === taps ? 0 : 1);
}
