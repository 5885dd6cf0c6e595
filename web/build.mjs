// Builds what browsers load: web/src, web/demo and web/docs into web/dist, or the folder that is named.
//   node build.mjs [FOLDER]

import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, transform } from 'esbuild';

const WEB = fileURLToPath(new URL('.', import.meta.url));

/** Each file that is served, without its ending, and the module that it is built from. */
const FILES = {
  onetap: 'src/onetap.js',
  'onetap-bar': 'src/onetap-bar.js',
  'onetap-card': 'src/bar/card.js',
  'onetap-dialog': 'src/bar/dialog.js',
  'onetap-images': 'src/bar/images.js',
  'onetap-palettes': 'src/client/palettes.js',
  'onetap-picker': 'src/bar/picker.js',
  'demo/demo': 'demo/demo.js',
  'demo/phones': 'demo/phones.js',
  'docs/docs': 'docs/docs.js',
};
const STYLES = {
  'onetap-bar': 'src/onetap-bar.css',
  'demo/demo': 'demo/demo.css',
  'docs/docs': 'docs/docs.css',
};
const TYPES = ['onetap.d.ts', 'onetap-bar.d.ts'];

/** A page loads each served file once, so none contains another: they import each other. */
const filesStayApart = {
  name: 'files stay apart',
  setup({ onResolve }) {
    const served = new Map(Object.entries(FILES).map(([name, path]) => [join(WEB, path), name]));
    onResolve({ filter: /^\.\.?\// }, ({ kind, path, resolveDir }) => {
      // As the demo is served, the client is in the folder above.
      if (resolveDir === join(WEB, 'demo')) return { path, external: true };
      const name = kind !== 'entry-point' && served.get(resolve(resolveDir, path));
      return name ? { path: `./${name}.js`, external: true } : undefined;
    });
  },
};

/** A module imports a style sheet as its text. */
const stylesAreTexts = {
  name: 'styles are texts',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]src[\\/]bar[\\/].*\.css$/ }, async ({ path }) => {
      const { code } = await transform(await readFile(path, 'utf8'), {
        loader: 'css',
        minify: true,
      });
      return { contents: code.trim(), loader: 'text' };
    });
  },
};

/** Builds all files into a folder, which then has nothing else. @param {string} outdir */
export async function buildInto(outdir) {
  await rm(outdir, { recursive: true, force: true });
  await mkdir(outdir, { recursive: true });
  const named = (files) =>
    Object.entries(files).map(([out, path]) => ({ out, in: join(WEB, path) }));
  await build({
    absWorkingDir: WEB,
    entryPoints: [...named(FILES), ...named(STYLES)],
    outdir,
    bundle: true,
    format: 'esm',
    target: 'es2024',
    charset: 'utf8',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [filesStayApart, stylesAreTexts],
  });
  for (const name of TYPES) await copyFile(join(WEB, 'src', name), join(outdir, name));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await buildInto(resolve(process.argv[2] ?? join(WEB, 'dist')));
}
