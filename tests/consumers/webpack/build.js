// Builds the page as webpack does by itself: an entry, and where to write. What it warns of fails the build, but for its sizes.

import webpack from 'webpack';

const here = new URL('.', import.meta.url).pathname;
const options = { context: here, mode: 'production', entry: '../shared/bundled.js', output: { path: `${here}dist` }, performance: false };

webpack(options, (error, stats) => {
  if (error) throw error;
  if (stats.hasErrors() || stats.hasWarnings()) console.error(stats.toString({ all: false, errors: true, warnings: true }));
  process.exitCode = stats.hasErrors() || stats.hasWarnings() ? 1 : 0;
});
