// A page's own worker with the package bundled into it. Knows no document.

import * as consort from 'consort-ml';
import { check } from './check.js';

onmessage = ({ data }) =>
  check(consort, new URL(data)).then(
    (result) => postMessage({ result }),
    (error) => postMessage({ error: `${error.message}\n${error.stack}` }),
  );
