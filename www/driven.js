// What a driver reads of this page; errors outside of any promise must not be lost.
globalThis.driven = { lines: [], result: null, error: null };
addEventListener('error', (e) => (driven.error ??= String(e.error?.stack ?? e.message)));
addEventListener('unhandledrejection', (e) => (driven.error ??= String(e.reason?.stack ?? e.reason)));
