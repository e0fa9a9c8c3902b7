// A page's own worker that has the package in it, and so workers of a worker. Knows no document.

import * as consort from '/node_modules/consort-ml/index.js';
import { check } from '/shared/check.js';

check(consort, new URL('/model/', location.href)).then(
  (result) => postMessage({ result }),
  (error) => postMessage({ error: `${error.message}\n${error.stack}` }),
);
