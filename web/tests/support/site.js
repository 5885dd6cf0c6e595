// A web site: the client's files as they are built, a test page, and a proxy before the service that fails as told.

import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const WEB = new URL('../../dist/', import.meta.url);
const TYPES = {
  '.js': 'text/javascript',
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css',
  '.ts': 'text/plain',
};
const PAGE = `<!doctype html><meta charset="utf-8"><title>onetap</title><link rel="icon" href="data:,">
<script>
  globalThis.problems = [];
  addEventListener('error', ({ message }) => problems.push(message));
  addEventListener('unhandledrejection', ({ reason }) => problems.push(String(reason)));
</script>
<script type="module">Object.assign(globalThis, await import('/onetap.js')); globalThis.ready = true;</script>`;

// Unreferenced: what is held for a minute does not hold the process after its tests.
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms).unref());

async function bodyOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * What may befall a request, as `site.faults` says for each (undefined: nothing):
 *   hold: a promise, or ms to wait, before it goes on to the service, even if its client leaves;
 *   drop: 'before' or 'after' the service has seen it: the connection breaks;
 *   twice: ms after which its twin reaches the service, whose answer nobody gets;
 *   late: ms (or a promise) by which the answer is late;
 *   answer: {status, headers, body} in place of the service's;
 *   handle: (request, response) => …, all of it in the test's own hands.
 */
export async function startSite({ service, pages = {} } = {}) {
  const site = { requests: [], faults: () => undefined, service, pages, open: new Set() };

  const ask = (request, body, response) =>
    new Promise((resolve, reject) => {
      const { host, connection, ...headers } = request.headers;
      const { method, url: path } = request;
      const upstream = http.request(
        site.service.url + path,
        { method, headers, agent: false },
        resolve,
      );
      upstream.on('error', reject);
      if (path.startsWith('/v1/posts/reactions/stream'))
        response?.once('close', () => upstream.destroy());
      upstream.end(body);
    });

  async function proxy(request, response) {
    const entry = {
      method: request.method,
      path: request.url,
      key: request.headers['idempotency-key'],
      headers: request.headers,
      at: Date.now(),
    };
    site.requests.push(entry);
    response.once('close', () => (entry.closed = Date.now()));
    const body = await bodyOf(request);
    const { hold, drop, twice, late, answer, handle } =
      (await site.faults(entry, site.requests.length - 1)) ?? {};
    await (typeof hold === 'number' ? sleep(hold) : hold);
    if (drop === 'before') return request.socket.destroy();
    if (handle) return handle(request, response);
    if (answer) {
      response.writeHead(answer.status, answer.headers);
      return response.end(answer.body);
    }
    if (twice !== undefined)
      sleep(twice)
        .then(() => ask(request, body))
        .then(
          (twin) => twin.resume(),
          () => {},
        );
    const reply = await ask(request, body, response);
    entry.status = reply.statusCode;
    entry.replayed = reply.headers['idempotency-replayed'];
    if (drop === 'after') {
      reply.resume();
      return request.socket.destroy();
    }
    await (typeof late === 'number' ? sleep(late) : late);
    response.writeHead(reply.statusCode, reply.headers);
    response.flushHeaders();
    reply.on('error', () => response.destroy());
    return reply.pipe(response);
  }

  const server = http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://x');
    try {
      if (site.pages[pathname] !== undefined) {
        return response
          .writeHead(200, { 'Content-Type': TYPES['.html'] })
          .end(site.pages[pathname]);
      }
      if (pathname === '/page')
        return response.writeHead(200, { 'Content-Type': TYPES['.html'] }).end(PAGE);
      if (/^\/[\w-]+(\/[\w-]+)?\.(js|css|html|d\.ts)$/.test(pathname)) {
        const file = await readFile(fileURLToPath(new URL(`.${pathname}`, WEB)));
        return response.writeHead(200, { 'Content-Type': TYPES[extname(pathname)] }).end(file);
      }
      await proxy(request, response);
    } catch (error) {
      if (response.headersSent) return response.destroy();
      response
        .writeHead(error.code === 'ENOENT' ? 404 : 502, { 'Content-Type': 'text/html' })
        .end(`<p>${error.code}`);
    }
  });
  server.on('connection', (socket) => {
    site.open.add(socket);
    socket.on('close', () => site.open.delete(socket));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  site.url = `http://127.0.0.1:${server.address().port}`;
  site.writes = () => site.requests.filter(({ method }) => method === 'PUT' || method === 'DELETE');
  site.reads = () => site.requests.filter(({ path }) => path.startsWith('/v1/posts/reactions?'));
  site.streams = () =>
    site.requests.filter(({ path }) => path.startsWith('/v1/posts/reactions/stream'));
  site.stop = async () => {
    server.close();
    for (const socket of site.open) socket.destroy();
  };
  return site;
}
