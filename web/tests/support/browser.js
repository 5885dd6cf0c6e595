// A real Chromium, headless, with nothing in it that talks to anybody.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

export const CHROMIUM = process.env.ONETAP_TEST_CHROMIUM ?? '/usr/bin/chromium';

/** One browser for a test file; each test has a context of its own (`browser.newContext()`). */
export async function startBrowser() {
  if (!existsSync(CHROMIUM))
    throw new Error(
      `${CHROMIUM} is not there: apt-get install chromium, or name one in ONETAP_TEST_CHROMIUM`,
    );
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
  args.push('--disable-background-networking', '--disable-component-update', '--disable-sync');
  return chromium.launch({ executablePath: CHROMIUM, args });
}

/**
 * Opens the test page with a client in it, `client`, that records what it tells in `states` and
 * `errors`.
 */
export async function openClient(context, site, options = {}, watched = []) {
  const page = await context.newPage();
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(error));
  await page.goto(`${site.url}/page`);
  await page.waitForFunction(() => globalThis.ready);
  await page.evaluate(
    ([options, watched]) => {
      globalThis.states = [];
      globalThis.errors = [];
      globalThis.client = new Onetap(options);
      client.addEventListener('onetap-change', ({ detail }) => states.push(detail));
      client.addEventListener('onetap-error', ({ detail }) => errors.push(detail));
      globalThis.stops = watched.map((post) => client.watch(post));
    },
    [options, watched],
  );
  return page;
}

/** Ends a page. Unlike one that is closed, it sends nothing more. */
export async function crash(page) {
  const session = await page.context().newCDPSession(page);
  session.send('Page.crash').catch(() => {});
  await page.waitForEvent('crash');
}

/** What a page's client shows of a reaction, compactly: `{count, mine, pending}`. */
export const shownIn = (page, post, reaction = 'like') =>
  page.evaluate(
    ([post, reaction]) => {
      const {
        count = 0,
        mine = false,
        pending = false,
      } = client.state(post)?.reactions.find((r) => r.reaction === reaction) ?? {};
      return { count, mine, pending };
    },
    [post, reaction],
  );

/** Waits until a page shows this of a reaction, and says what it showed otherwise. */
export async function showsIn(page, post, wanted, reaction = 'like', timeout = 10_000) {
  try {
    await page.waitForFunction(
      ([post, reaction, wanted]) => {
        const state = globalThis.client.state(post);
        const shown = state?.reactions.find((r) => r.reaction === reaction) ?? {
          count: 0,
          mine: false,
          pending: false,
        };
        return state && Object.entries(wanted).every(([name, value]) => shown[name] === value);
      },
      [post, reaction, wanted],
      { timeout, polling: 20 },
    );
  } catch {
    throw new Error(
      `shown is ${JSON.stringify(await shownIn(page, post, reaction))}, wanted ${JSON.stringify(wanted)}`,
    );
  }
}
