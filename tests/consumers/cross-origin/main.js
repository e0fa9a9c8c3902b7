// A page that has the package from another origin, as from a CDN, which its address names. Knows whether its server lets it have workers
// of its own making only by that, too. It takes the one file that has all, as pages without tools do.

import { check, drive } from '/shared/check.js';

const asked = new URLSearchParams(location.search);
drive(async () => {
  const consort = await import(new URL('/node_modules/consort-ml/consort.min.js', asked.get('from')));
  const told = await check(consort, new URL('/model/', location.href), !asked.has('alone'));
  return asked.has('isolated') ? `${told}, isolated: ${crossOriginIsolated}` : told;
});
