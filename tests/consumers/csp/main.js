// A page whose server lets it have no script but its own files. Knows no tool: an import map would be inline.

import * as consort from '/node_modules/consort-ml/index.js';
import { check, drive } from '/shared/check.js';

drive(async () => {
  // The policy is there at all: without it nothing is tested.
  const forbidden = [() => new Function('return 1')(), () => eval('1')].filter((work) => {
    try {
      return work() !== 1;
    } catch {
      return true;
    }
  });
  if (forbidden.length !== 2) throw new Error('the page may evaluate text');
  return check(consort, new URL('/model/', location.href), !new URLSearchParams(location.search).has('alone'));
});
