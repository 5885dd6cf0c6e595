// The npm package as its users get it: packed, installed, built with Vite; then a tap.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build, preview } from 'vite';
import { barOf, buttonOf, reads } from './support/bars.js';
import { startBrowser } from './support/browser.js';
import { newPost } from './support/posts.js';
import { startService, until } from './support/service.js';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const ROOT = join(WEB, '..');
const TSC = join(WEB, 'node_modules/typescript/bin/tsc');
const POST = newPost();

const PAGE = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A thread</title>
<link rel="icon" href="data:,"></head><body><h1>A thread</h1>
<onetap-bar post-id="${POST}" reactions="like love" user-id="7" base-url=""></onetap-bar>
<script type="module" src="./main.ts"></script></body></html>`;

const MAIN = `
import { Onetap, postIdFromInteger, type PostState } from 'onetap';
import { OnetapBar, type User } from 'onetap/bar';
import 'onetap/bar.css';

OnetapBar.resolveUsers = (ids: string[]): User[] => ids.map((id) => ({ id, name: 'User no. ' + id }));
const client = new Onetap({ baseUrl: '', userId: 8 });
const states: PostState[] = [];
client.addEventListener('onetap-change', ({ detail }) => states.push(detail));
client.watch('${POST}');
Object.assign(globalThis, { client, states, id: postIdFromInteger(42) });
`;

const npm = (args, cwd) => promisify(execFile)('npm', args, { cwd });

let work;
let app;
let tarball;
before(async () => {
  work = await mkdtemp(join(tmpdir(), 'onetap-package-'));
  app = join(work, 'app');
  await mkdir(app);
  const { stdout } = await npm(['pack', '--json', '--pack-destination', work], WEB);
  [tarball] = JSON.parse(stdout);
  await writeFile(join(app, 'package.json'), '{ "private": true, "type": "module" }');
  await writeFile(join(app, 'index.html'), PAGE);
  await writeFile(join(app, 'main.ts'), MAIN);
  const quiet = ['--offline', '--no-audit', '--no-fund', '--ignore-scripts'];
  await npm(['install', ...quiet, join(work, tarball.filename)], app);
});
after(() => rm(work, { recursive: true }));

test('the package has what it needs and nothing else, and is of the release', async () => {
  const files = tarball.files.map(({ path }) => path).sort();
  const parts = ['bar', 'card', 'dialog', 'images', 'palettes', 'picker'].map((name) => `onetap-${name}.js`);
  const types = ['onetap.d.ts', 'onetap-bar.d.ts'];
  const dist = ['onetap.js', 'onetap-bar.css', ...types, ...parts].map((name) => `dist/${name}`);
  const licences = ['LICENSE-APACHE', 'LICENSE-MIT'];
  assert.deepEqual(files, [...licences, 'README.md', 'package.json', ...dist].sort());
  for (const name of licences) {
    const [packed, own] = [join(app, 'node_modules/onetap', name), join(ROOT, name)];
    assert.equal(await readFile(packed, 'utf8'), await readFile(own, 'utf8'), name);
  }
  const cargo = await readFile(join(ROOT, 'Cargo.toml'), 'utf8');
  assert.equal(tarball.version, /^version = "(.*)"$/m.exec(cargo)?.[1], 'as in Cargo.toml');
  const installed = JSON.parse(
    await readFile(join(app, 'node_modules/onetap/package.json'), 'utf8'),
  );
  assert.equal(installed.dependencies, undefined);
});

for (const module of ['bundler', 'nodenext']) {
  test(`its types are found (${module})`, async () => {
    const kind = module === 'bundler' ? 'esnext' : module;
    const args = ['--noEmit', '--strict', '--types', '', '--lib', 'es2024,dom', '--module', kind];
    args.push(
      '--target',
      'es2024',
      '--moduleResolution',
      module,
      '--noUncheckedSideEffectImports',
      'false',
    );
    await promisify(execFile)(process.execPath, [TSC, ...args, 'main.ts'], { cwd: app }).catch(
      ({ stdout }) => assert.fail(stdout),
    );
  });
}

test('built with Vite, a page taps, sees others tap, and loads the parts of the element', async (t) => {
  const warnings = [];
  const warn = (text) => warnings.push(text);
  const quiet = { info() {}, clearScreen() {}, hasErrorLogged: () => false, hasWarned: false };
  const customLogger = { warn, warnOnce: warn, error: warn, ...quiet };
  // Vite also warns of callbacks that take long. That depends on the machine.
  const rolldownOptions = { checks: { bundlerTimings: false } };
  await build({ root: app, configFile: false, customLogger, build: { rolldownOptions } });
  assert.deepEqual(warnings, []);
  const built = await readdir(join(app, 'dist/assets'));
  for (const part of ['card', 'dialog', 'images', 'picker'])
    assert.ok(
      built.some((name) => name.startsWith(`onetap-${part}-`)),
      `${part}: ${built}`,
    );

  const service = await startService();
  t.after(() => service.stop());
  const server = await preview({
    root: app,
    configFile: false,
    customLogger,
    preview: { host: '127.0.0.1', port: 0, proxy: { '/v1': service.url } },
  });
  t.after(() => server.close());
  const browser = await startBrowser();
  t.after(() => browser.close());
  const page = await browser.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  await page.goto(`http://127.0.0.1:${server.httpServer.address().port}/`);
  await reads(page, ['Like']);
  await buttonOf(barOf(page), 'Like').click();
  await reads(page, ['Like, 1 *']);
  const summary = async () => (await fetch(`${service.url}/v1/posts/${POST}/reactions`)).json();
  const one = await until('the service has the tap', async () => {
    const said = await summary();
    return said.total && said;
  });
  assert.deepEqual(
    one.reactions.map(({ reaction, count }) => [reaction, count]),
    [['like', 1]],
  );

  // Another user's client beside it has received the tap.
  await page.waitForFunction(() => globalThis.states.at(-1)?.total === 1);
  await page.evaluate((post) => globalThis.client.wish(post, 'love', true), POST);
  await reads(page, ['Like, 1 *', 'Love, 1']);
  assert.equal((await summary()).total, 2);

  await barOf(page).locator('.who').click();
  await barOf(page).locator('.list').getByText('User no. 8').waitFor();
  await barOf(page).locator('.close').click();
  assert.deepEqual(problems, []);
});
