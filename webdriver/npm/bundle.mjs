// Makes one file of the package's modules, for pages that load it from a static host as it is, one of each worker's that it begins with or
// soon after, so that a worker does not wait for one module to learn of the next, and one of what writes and reads Parquet:
// `node bundle.mjs NODE_MODULES PKG`.
// Knows where files lie; must never know what is in one.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const [modules, pkg] = process.argv.slice(2);
const { build } = createRequire(join(modules, 'esbuild/package.json'))('esbuild');
const { name, version, license } = JSON.parse(readFileSync(join(pkg, 'package.json')));

/** Workers that are one file each, too. */
const WORKERS = ['cpu/worker', 'webnn/worker'];

/** Files that a module names beside itself are named from where the one file lies. */
const places = {
  name: 'places',
  setup: ({ onLoad }) =>
    onLoad({ filter: /\.js$/ }, ({ path }) => {
      const folder = relative(pkg, dirname(path)).split(sep).join(posix.sep);
      const one = (at) => (WORKERS.includes(at.slice(0, -3)) ? at.replace(/js$/, 'min.js') : at);
      const placed = (_, at) => `new URL('./${one(posix.join(folder, at))}', import.meta.url)`;
      return { contents: readFileSync(path, 'utf8').replace(/new URL\('([^']+)', import\.meta\.url\)/g, placed) };
    }),
};

for (const [from, to] of [['index', 'consort'], ...WORKERS.map((worker) => [worker, worker])]) {
  await build({
    entryPoints: [join(pkg, `${from}.js`)],
    outfile: join(pkg, `${to}.min.js`),
    bundle: true,
    minify: true,
    // The modules are in the package, too.
    sourcemap: true,
    sourcesContent: false,
    format: 'esm',
    target: 'es2022',
    banner: { js: `// ${name} ${version}, ${license}` },
    // wasm-bindgen names one module several times in an object.
    logOverride: { 'duplicate-object-key': 'silent' },
    logLevel: 'warning',
    plugins: [places],
  });
}

const { version: parquet } = JSON.parse(readFileSync(join(modules, 'hyparquet-writer/package.json')));
await build({
  entryPoints: [join(dirname(fileURLToPath(import.meta.url)), 'parquet.js')],
  outfile: join(pkg, 'parquet.min.js'),
  bundle: true,
  minify: true,
  sourcemap: true,
  format: 'esm',
  target: 'es2022',
  nodePaths: [modules],
  banner: { js: `// ${name} ${version}, ${license}; hyparquet and hyparquet-writer ${parquet}, MIT: LICENSE-THIRD-PARTY` },
  logLevel: 'warning',
});
