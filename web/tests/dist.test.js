// That web/dist is what the sources give, and that no module is too long to read.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildInto } from '../build.mjs';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const MOST_LINES = 400;
const MOST_COLUMNS = 100;

/** The files of a folder, by their path in it. */
async function contentsOf(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const all = paths.map(async (path) => [
    path.slice(folder.length + 1),
    await readFile(path, 'utf8'),
  ]);
  return new Map((await Promise.all(all)).sort());
}

test('dist is what the sources give, byte for byte', async (t) => {
  const made = await mkdtemp(join(tmpdir(), 'onetap-dist-'));
  t.after(() => rm(made, { recursive: true }));
  await buildInto(made);
  const [fresh, kept] = [await contentsOf(made), await contentsOf(join(WEB, 'dist'))];
  assert.deepEqual([...kept.keys()], [...fresh.keys()], 'run `npm run build` in web/');
  for (const [path, text] of fresh)
    assert.ok(
      kept.get(path) === text,
      `dist/${path} is not what the sources give: run \`npm run build\` in web/`,
    );
});

test('a served file contains no other', async () => {
  const files = await contentsOf(join(WEB, 'dist'));
  const imports = (path) =>
    [...files.get(path).matchAll(/\b(?:from|import) ?\(?"([^"]+)"/g)].map(([, from]) => from);
  const named = (path) => [...new Set(imports(path))].sort();
  assert.deepEqual(named('onetap.js'), ['./onetap-palettes.js']);
  assert.deepEqual(named('onetap-palettes.js'), []);
  const parts = ['card', 'dialog', 'images', 'picker'].map((name) => `./onetap-${name}.js`);
  assert.deepEqual(named('onetap-bar.js'), ['./onetap.js', ...parts].sort());
  for (const part of parts) assert.deepEqual(named(part.slice(2)), []);
  // The client's storage, and the element's name, stand in one file each.
  const having = (word) =>
    [...files].filter(([, text]) => text.includes(word)).map(([path]) => path);
  assert.deepEqual(having('onetap-outbox'), ['onetap.js']);
  assert.deepEqual(having('define("onetap-bar"'), ['onetap-bar.js']);
});

test('no source is longer than 400 lines, or wider than 100 columns', async () => {
  for (const [path, text] of await contentsOf(join(WEB, 'src'))) {
    const lines = text.split('\n');
    assert.ok(lines.length - 1 <= MOST_LINES, `src/${path} has ${lines.length - 1} lines`);
    if (!path.endsWith('.js')) continue;
    const wide = lines.findIndex((line) => [...line].length > MOST_COLUMNS);
    assert.equal(wide, -1, `src/${path}:${wide + 1} is wider than ${MOST_COLUMNS} columns`);
  }
});
