// Pages whose wishes have no answer, and what they keep of them in the browser's storage.

import { openClient } from './browser.js';
import { newPost } from './posts.js';
import { until } from './service.js';
import { startSite } from './site.js';

/** A site, and a browser that knows only it. */
export async function place(t, browser, service) {
  const site = await startSite({ service });
  const context = await browser.newContext();
  t.after(() => Promise.all([context.close(), site.stop()]));
  const post = newPost();
  const open = (options = {}, watched = [post]) =>
    openClient(context, site, { userId: 1, live: false, ...options }, watched);
  /** Nothing comes through, in either direction as told. */
  const cut = (drop = 'before') => {
    site.faults = ({ path }) => (path.startsWith('/v1/') ? { drop } : undefined);
  };
  const mend = () => (site.faults = () => undefined);
  const methods = () => site.writes().map(({ method }) => method);
  const keys = () => new Set(site.writes().map(({ key }) => key)).size;
  return { site, context, post, open, cut, mend, methods, keys };
}

/** One page alone. */
export async function setOffline(context, page, offline) {
  const network = (page.network ??= await context.newCDPSession(page));
  await network.send('Network.enable');
  const speed = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
  await network.send('Network.emulateNetworkConditions', { offline, ...speed });
}
export const wish = (page, post, active, reaction = 'like') =>
  page.evaluate((wished) => client.wish(...wished), [post, reaction, active]);
/** What lies in the page's storage, without what the browser or others put there. */
export const kept = (page) =>
  page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith('onetap-outbox')));
export const told = (page) => page.evaluate(() => errors.map(({ code }) => code));
export const refused = (page) => until('the tap has failed', async () => (await told(page)).length);
