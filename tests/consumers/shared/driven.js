// What a driver reads of a page; errors outside of any promise must not be lost. Knows no model and no package.

globalThis.driven = { lines: [], result: null, error: null };
addEventListener('error', (e) => (driven.error ??= String(e.error?.stack ?? e.message)));
addEventListener('unhandledrejection', (e) => (driven.error ??= String(e.reason?.stack ?? e.reason)));
