// The same site by the bundler that Next had before. Knows nothing of the package.

export { default } from '../next/next.config.mjs';
