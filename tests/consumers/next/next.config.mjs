// Says where the page is built to, and that it needs no server; nothing of the package.

import { fileURLToPath } from 'node:url';

/** What is shared among consumers lies above. */
const root = fileURLToPath(new URL('..', import.meta.url));

export default { output: 'export', turbopack: { root } };
