// A page of an extension: the package in it, and in what the extension has in the background. Knows no tool.

import * as consort from './consort-ml/index.js';
import { check, drive } from './shared/check.js';

drive(async () => {
  const told = await check(consort, new URL('model/', location.href));
  const { result, error, where } = await chrome.runtime.sendMessage('check');
  if (error) throw new Error(`${where}: ${error}`);
  return `${told}; ${where}: ${result}`;
});
