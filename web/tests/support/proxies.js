// nginx and Caddy with the configurations of docs/operations.md, on free ports of 127.0.0.1.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort, start, until } from './service.js';

const TOOLS = fileURLToPath(new URL('../../../target/test-tools/', import.meta.url));

const PROXIES = {
  nginx: {
    args: (folder) => ['-e', 'stderr', '-p', folder, '-c', 'config'],
    /** What stands around the snippet in a whole configuration; files go to the folder. */
    config: (snippet, { folder, port, certificate, key }) => `
      daemon off;
      pid ${folder}/pid;
      events {}
      http {
        access_log off;
        ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((of) => `${of}_temp_path ${folder}/${of};`).join('\n')}
        ${snippet
          .replace('listen 443 ', `listen 127.0.0.1:${port} `)
          .replace('/etc/ssl/forum.example.pem', certificate)
          .replace('/etc/ssl/forum.example.key', key)}
      }`,
  },
  Caddyfile: {
    args: (folder) => ['run', '--adapter', 'caddyfile', '--config', join(folder, 'config')],
    config: (snippet, { port, certificate, key }) =>
      `{
        admin off
        auto_https disable_redirects
        servers {
          protocols h1 h2
        }
      }
      ${snippet.replace('forum.example {', `https://localhost:${port} {\nbind 127.0.0.1\ntls ${certificate} ${key}\n`)}`,
  },
};

/** The proxy of a snippet's name, before a service and a forum: `{url, log(), stop()}`. */
export async function startProxy(name, snippet, { service, forum }) {
  const program = join(TOOLS, name === 'nginx' ? 'nginx' : 'caddy');
  if (!existsSync(program)) throw new Error(`${program} is not there: \`make web-tools\` gets it`);
  const folder = await mkdtemp(join(tmpdir(), 'onetap-proxy-'));
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'].concat(
      ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,DNS:forum.example'],
      ['-days', '2', '-keyout', key, '-out', certificate],
    ),
    { stdio: 'ignore' },
  );
  const port = await freePort();
  const { args, config } = PROXIES[name];
  const here = snippet
    .replaceAll('127.0.0.1:8080', service.address)
    .replaceAll('127.0.0.1:8000', new URL(forum.url).host);
  await writeFile(join(folder, 'config'), config(here, { folder, port, certificate, key }));
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = start(program, args(folder), 'run `make web-tools`', env);
  child.stdout.resume();
  const listens = () =>
    new Promise((resolve, reject) => {
      if (child.exitCode !== null) reject(new Error(`${name} ended: ${child.log}`));
      const socket = connect(port, '127.0.0.1', () => resolve(socket.destroy()));
      socket.on('error', () => resolve(undefined));
    });
  try {
    await Promise.race([until(`${name} listens`, listens), child.failed]);
  } catch (error) {
    await child.end('SIGKILL');
    throw new Error(`${error.message}: ${child.log}`);
  }
  return {
    url: `https://localhost:${port}`,
    log: () => child.log,
    async stop() {
      await child.end('SIGTERM');
      await rm(folder, { recursive: true });
    },
  };
}
