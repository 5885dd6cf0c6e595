// The types agree with the code. tests/it/http/web.rs checks the sizes of the served files.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const WEB = fileURLToPath(new URL('..', import.meta.url));
const SRC = join(WEB, 'src');
const TSC = join(WEB, 'node_modules/typescript/bin/tsc');

async function tsc(...args) {
  if (!existsSync(TSC))
    throw new Error('TypeScript is not there: run `npm ci` in web/ (`make web` does)');
  try {
    await promisify(execFile)(process.execPath, [TSC, ...args], { cwd: WEB });
  } catch ({ stdout }) {
    assert.fail(stdout);
  }
}

test('the code holds its own types, and uses of the declared ones are as they should be', () =>
  tsc('--project', '.'));

test('the declared types are those of the code', async (t) => {
  const made = await mkdtemp(join(tmpdir(), 'onetap-types-'));
  t.after(() => rm(made, { recursive: true }));
  await tsc(
    '--ignoreConfig',
    '--allowJs',
    '--declaration',
    '--emitDeclarationOnly',
    '--strict',
    '--noImplicitAny',
    'false',
    '--target',
    'es2024',
    '--lib',
    'es2024,dom,dom.iterable',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    '--rootDir',
    'src',
    '--outDir',
    made,
    'src/onetap.js',
  );
  // tsc would resolve these imports to the types that it has made. Point them at the declared ones.
  for (const name of await readdir(join(made, 'client'))) {
    const text = await readFile(join(made, 'client', name), 'utf8');
    const told = text.replaceAll('../onetap.d.ts', join(SRC, 'onetap.d.ts'));
    const all = told.replaceAll('../internal.d.ts', join(SRC, 'internal.d.ts'));
    await writeFile(join(made, 'client', name), all);
  }
  // The types declare nothing that the code lacks, and the code exports nothing undeclared.
  await writeFile(
    join(made, 'same.ts'),
    `
    import type * as made from './onetap.d.ts';
    import type * as told from '${join(SRC, 'onetap.d.ts')}';
    type Own<T> = Pick<T, Exclude<keyof T, keyof EventTarget>>;
    type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : ['told has', B, 'made has', A]) : ['made has', A, 'told has', B];
    export const methods: Same<Own<made.Onetap>, Own<told.Onetap>> = true;
    export const names: Same<keyof made.Onetap, keyof told.Onetap> = true;
    export const options: Same<ConstructorParameters<typeof made.Onetap>, ConstructorParameters<typeof told.Onetap>> = true;
    export const all: Same<keyof typeof made, keyof typeof told> = true;
    export const key: Same<typeof made.reactionKey, typeof told.reactionKey> = true;
    export const id: Same<typeof made.postIdFromInteger, typeof told.postIdFromInteger> = true;
    export const integer: Same<typeof made.integerFromPostId, typeof told.integerFromPostId> = true;
  `,
  );
  await tsc(
    '--ignoreConfig',
    '--noEmit',
    '--strict',
    '--target',
    'es2024',
    '--lib',
    'es2024,dom,dom.iterable',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    '--allowImportingTsExtensions',
    '--typeRoots',
    made,
    join(made, 'same.ts'),
  );
});
