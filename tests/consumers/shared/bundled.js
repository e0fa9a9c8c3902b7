// A page for bundlers, which find wasm and workers by themselves: the package in it, and in a worker of the page's own. Knows no bundler.

import './driven.js';
import * as consort from 'consort-ml';
import { check, drive } from './check.js';

const model = new URL(new URLSearchParams(location.search).get('model') ?? '/model/', location.href);
drive(async () => {
  const own = new Worker(new URL('./own.js', import.meta.url), { type: 'module' });
  const there = new Promise((resolve, reject) => {
    own.onmessage = ({ data: { result, error } }) => (error ? reject(new Error(error)) : resolve(result));
    own.onerror = ({ message }) => reject(new Error(message ?? 'the worker did not begin'));
  });
  own.postMessage(model.href);
  return `${await check(consort, model)}; in a worker: ${await there}`;
});
