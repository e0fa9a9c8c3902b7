// What the extension has in the background: a service worker, which can have no workers and import nothing later, or a page that nobody
// sees, as the browser likes. Knows no document.

import * as consort from './consort-ml/index.js';
import { check } from './shared/check.js';

const where = globalThis.ServiceWorkerGlobalScope ? 'its service worker' : 'its page in the background';

// Firefox lets no driver go to an extension's page.
if (!globalThis.ServiceWorkerGlobalScope) chrome.tabs.create({ url: 'page.html' });

chrome.runtime.onMessage.addListener((asked, _, answer) => {
  if (asked !== 'check') return false;
  check(consort, new URL(chrome.runtime.getURL('model/')), globalThis.Worker !== undefined).then(
    (result) => answer({ result, where }),
    (error) => answer({ error: `${error.message}\n${error.stack}`, where }),
  );
  // It answers later.
  return true;
});
