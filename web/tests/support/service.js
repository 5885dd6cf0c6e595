// The real service and a real Redis, on free ports of 127.0.0.1.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BIN =
  process.env.ONETAP_BIN ?? fileURLToPath(new URL('../../../target/debug/onetap', import.meta.url));
const REDIS = process.env.ONETAP_TEST_REDIS ?? 'redis-server';

/** Nothing that a test starts outlives it, however it ends. */
const children = new Set();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** A program, which does not outlive this process. */
export function start(command, args, hint, env = process.env) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  children.add(child);
  child.log = '';
  child.stderr.on('data', (text) => (child.log += text));
  child.on('exit', () => children.delete(child));
  child.failed = once(child, 'error').then(([error]) => {
    throw new Error(`${command} did not start (${error.code}): ${hint}`);
  });
  child.failed.catch(() => {});
  child.end = async (signal) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await gone;
  };
  return child;
}

/** Waits until `check` gives something, and says what did not happen otherwise. */
export async function until(what, check, ms = 10_000) {
  for (const end = Date.now() + ms; ;) {
    const got = await check();
    if (got) return got;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The service. `listen` keeps the address over a restart. */
export async function startService({ store = 'memory:', listen = '127.0.0.1:0', args = [] } = {}) {
  const child = start(
    BIN,
    ['--listen', listen, '--store', store, '--log', 'warn', ...args],
    'run `cargo build`, or name it in ONETAP_BIN',
  );
  let url;
  const greeting = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      url ??= /^Listening on (\S+)/.exec(line)?.[1];
      if (url) break;
    }
    if (!url) throw new Error(`the service ended: ${child.log}`);
  })();
  await Promise.race([greeting, child.failed]);
  child.stdout.resume();
  return {
    url,
    address: new URL(url).host,
    pid: child.pid,
    stop: () => child.end('SIGTERM'),
    kill: () => child.end('SIGKILL'),
  };
}

/** A Redis that can be killed and started again at its address, with or without what it knew. */
export async function startRedis() {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), 'onetap-web-'));
  let child;
  const redis = {
    url: `redis://127.0.0.1:${port}`,
    async start() {
      const args = [
        '--port',
        String(port),
        '--bind',
        '127.0.0.1',
        '--dir',
        dir,
        '--save',
        '',
        '--appendonly',
        'yes',
        '--appendfsync',
        'always',
      ];
      child = start(REDIS, args, 'install redis-server with your package manager (`make tools`)');
      let ready = false;
      child.stdout.on('data', (text) => (ready ||= String(text).includes('Ready to accept')));
      await Promise.race([until('redis-server is ready', () => ready), child.failed]);
    },
    kill: () => child.end('SIGKILL'),
    async stop() {
      await child.end('SIGTERM');
      await rm(dir, { recursive: true });
    },
  };
  await redis.start();
  return redis;
}
