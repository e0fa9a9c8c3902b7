// A service worker that keeps what the page fetched, so that it works where there is no network. Knows addresses of its own site; must
// never know what is behind them. Only a static build registers it: its files do not change but with BUILD, which is made of them.

const BUILD = 'development';
/** Fetched at a click, dozens of megabytes for a comparison: never kept. */
const BESIDE = new URL('./vendor/onnxruntime-web/', location.href).pathname;
const KEPT = `consort demo ${BUILD}`;

/** Kept from the beginning: what any visit needs but models, which are kept once they are asked for. */
addEventListener('install', (event) => {
  const fetched = async () => {
    const files = await (await fetch('files.json', { cache: 'no-cache' })).json();
    await (await caches.open(KEPT)).addAll(['./', ...files].map((file) => new Request(file, { cache: 'no-cache' })));
    await skipWaiting();
  };
  event.waitUntil(fetched());
});

addEventListener('activate', (event) => {
  const older = async () => {
    for (const name of await caches.keys()) if (name.startsWith('consort demo ') && name !== KEPT) await caches.delete(name);
    await clients.claim();
  };
  event.waitUntil(older());
});

addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const own = origin === location.origin && pathname.startsWith(new URL('./', location.href).pathname) && !pathname.startsWith(BESIDE);
  // A part of a file is no file.
  if (request.method !== 'GET' || !own || request.headers.has('range')) return;
  const answer = async () => {
    const cache = await caches.open(KEPT);
    // Headers are kept as they came, those that isolate the page among them.
    const kept = await cache.match(request, { ignoreSearch: true, ignoreVary: true });
    if (kept) return kept;
    const response = await fetch(request);
    if (response.status === 200) event.waitUntil(cache.put(request, response.clone()).catch(() => {}));
    return response;
  };
  event.respondWith(answer());
});
