// The set-up of docs/operations.md as a whole: a browser, a proxy, the guide's forum, onetap.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import { after, before, test } from 'node:test';

import compression from 'compression';

import { barOf, buttonOf, reads } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { startForum } from './support/forum.js';
import { readGuide } from './support/guide.js';
import { held, other } from './support/posts.js';
import { startProxy } from './support/proxies.js';
import { startService, until } from './support/service.js';

const { text: GUIDE, snippets: SNIPPETS } = readGuide('operations.md');
const POST = '6f6e6574-6170-8000-8000-000000000029'; // 41

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.close());

for (const name of ['nginx', 'Caddyfile']) {
  test(`${name}: reads and streams from onetap, taps by way of the forum, over HTTP/2`, async (t) => {
    // As the guide says: both proxies pass on the name that the browser called.
    const service = await startService({ args: ['--allowed-host', 'forum.example'] });
    // If anything fails, everything that was started ends, the last one first.
    const ends = [() => service.stop()];
    t.after(async () => {
      for (const end of ends.reverse()) await end();
    });
    const forum = await startForum(service);
    ends.push(() => forum.stop());
    const proxy = await startProxy(name, SNIPPETS.get(name), { service, forum });
    ends.push(() => proxy.stop());
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    ends.push(() => context.close());
    await context.addCookies([{ name: 'sessionid', value: forum.session(7), url: proxy.url }]);
    const page = await context.newPage();
    const problems = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('response', (response) => /\/(v1|onetap)/.test(response.url()) && !response.ok() && problems.push(response.url()));
    await other(service, POST, 1);
    const stream = page.waitForResponse((response) => response.url().includes('/stream'));
    await page.goto(`${proxy.url}/thread/1`);
    await reads(page, ['Like, 1']);

    // Live: nothing on the way buffers.
    assert.equal((await stream).status(), 200);
    for (const user of [2, 3]) {
      await other(service, POST, user);
      await reads(page, [`Like, ${user}`]);
    }

    // Nothing decodes the path either.
    await buttonOf(barOf(page), 'Like').click();
    await until('it is counted', async () => (await held(service, POST, 7)).mine);
    const put = (reaction, user) =>
      page.evaluate(async ([post, reaction, user]) => {
        const path = `/v1/posts/${post}/reactions/${encodeURIComponent(reaction)}/users/${user}`;
        const { status } = await fetch(path, { method: 'PUT' });
        return status;
      }, [POST, reaction, user]);
    assert.equal(await put('🎉', 7), 201);
    assert.deepEqual(await held(service, POST, 7, '🎉'), { count: 1, mine: true });
    await reads(page, ['Like, 4 *', '🎉, 1']);
    assert.deepEqual(problems, []);

    // What may be offered.
    const offered = await page.evaluate(async () => (await (await fetch('/v1/palettes')).json()).palettes);
    assert.equal(offered.default.reactions, '*');

    // What the element loads later comes the same way.
    await barOf(page).locator('.who').click();
    await barOf(page).locator('.user').first().waitFor();
    await page.keyboard.press('Escape');
    await barOf(page).locator('.add').click();
    await barOf(page).locator('.option').first().waitFor();
    await page.keyboard.press('Escape');
    assert.deepEqual(problems, []);

    // All of it over one connection that speaks HTTP/2.
    const protocols = await page.evaluate(() => performance.getEntriesByType('resource').map(({ nextHopProtocol }) => nextHopProtocol));
    assert.deepEqual([...new Set(protocols)], ['h2']);

    // No tap in another user's name reaches onetap, by any method.
    assert.equal(await put('like', 8), 403);
    const toggle = await page.evaluate(async (post) => (await fetch(`/v1/posts/${post}/reactions/like/users/8/toggle`, { method: 'POST' })).status, POST);
    assert.equal(toggle, 404);
    // Neither does one by a path that the proxy and onetap might read in different ways.
    const path = `/v1/posts/${POST}/reactions/like/users/8`;
    for (const raw of [`${path}/../../../../../../../onetap.js`, `/onetap.js/..${path}`, `/${path}`, path.replace('8', '%38'), `${path}?/onetap.js`]) {
      const curl = ['-sk', '--path-as-is', '-o', '/dev/null', '-w', '%{http_code}', '-X', 'PUT', proxy.url + raw];
      assert.match(execFileSync('curl', curl, { encoding: 'utf8' }), /^4/, raw);
    }
    assert.equal((await held(service, POST, 8)).mine, false);

    // A browser without scripts sends its form.
    const bare = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: false });
    t.after(() => bare.close());
    await bare.addCookies([{ name: 'sessionid', value: forum.session(8), url: proxy.url }]);
    const still = await bare.newPage();
    await still.goto(`${proxy.url}/thread/1`);
    await Promise.all([still.waitForNavigation(), still.locator('article:first-of-type button[value=like]').click()]);
    assert.equal(still.url(), `${proxy.url}/thread/1`);
    assert.equal((await held(service, POST, 8)).mine, true);

    // Under the forum's own name, which onetap answers to because of --allowed-host.
    if (name === 'nginx') {
      const { port } = new URL(proxy.url);
      const byName = (host, path) => {
        const curl = ['-sk', '--resolve', `${host}:${port}:127.0.0.1`, `https://${host}:${port}${path}`];
        return execFileSync('curl', curl, { encoding: 'utf8' });
      };
      assert.match(byName('forum.example', `/v1/posts/${POST}/reactions`), /"total":\d/);
      assert.match(byName('forum.example', '/onetap.js'), /as Onetap/);
      assert.match(byName('evil.example', `/v1/posts/${POST}/reactions`), /foreign_host/);
    }

    // The paths for operators stay inside.
    for (const path of ['/metrics', '/readyz', '/healthz', '/docs/', '/demo', '/openapi.json']) {
      const answer = await page.request.get(proxy.url + path);
      assert.equal(answer.status(), 404, path);
    }
  });
}

test('no configuration of a proxy stands outside of a snippet', () => {
  assert.equal(GUIDE.match(/^```(nginx|caddy)$/gm).length, 2);
});

test('a layer that compresses leaves streams alone, as the guide says', async (t) => {
  const service = await startService();
  const compress = compression({ threshold: 0 });
  const proxy = createServer((request, response) =>
    compress(request, response, () => {
      const { headers, method } = request;
      const onward = get(service.url + request.url, { headers, method }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      response.on('close', () => onward.destroy());
    }),
  ).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(async () => {
    proxy.closeAllConnections();
    proxy.close();
    await service.stop();
  });
  await other(service, POST, 1);
  const ask = async (path) => {
    const headers = { 'Accept-Encoding': 'gzip, br' };
    const request = get({ host: '127.0.0.1', port: proxy.address().port, path, headers });
    const [answer] = await once(request, 'response');
    return answer;
  };
  const page = await ask(`/v1/posts/${POST}/reactions`);
  assert.match(page.headers['content-encoding'], /br|gzip/, 'the layer compresses');
  page.resume();

  const stream = await ask(`/v1/posts/reactions/stream?post_id=${POST}`);
  assert.equal(stream.headers['content-encoding'], undefined);
  let heard = '';
  stream.setEncoding('utf8').on('data', (text) => (heard += text));
  await until('the snapshot comes at once', () => heard.includes('"total":1'), 3000);
  await other(service, POST, 2);
  await until('and so does what changes', () => heard.includes('"total":2'), 3000);
});
