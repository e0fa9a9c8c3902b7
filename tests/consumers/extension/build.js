// An extension brings all that it runs: the package as npm gives it, the model, and what consumers share. Knows folders only.

import { cpSync, rmSync } from 'node:fs';

const brought = { 'consort-ml': '../node_modules/consort-ml', model: '../model', shared: '../shared' };
for (const [name, from] of Object.entries(brought)) {
  const to = new URL(name, import.meta.url);
  rmSync(to, { recursive: true, force: true });
  cpSync(new URL(from, import.meta.url), to, { recursive: true });
}
