// The demo page in a frame, for tests of what people see of it. Knows frames and waiting; must never know a section of the page.

import { assert } from './harness.js';

/** A page on which nothing changes for so long does not go on. */
const SILENCE_MS = 120_000;

/**
 * The demo page in a frame of that size, once `ready($, view)` says so: `{frame, view, $, texts, until, drop}`. `$` finds by id, `texts`
 * are those of an element's children, `until` waits for as long as anything on the page changes, `drop` lets files fall on an element.
 */
export async function demoPage(ready, { width = 1000, height = 800, allow = '', models = 'none' } = {}) {
  const frame = Object.assign(document.createElement('iframe'), { src: `/?models=${models}`, allow, style: `width: ${width}px; height: ${height}px` });
  document.body.append(frame);
  const $ = (id) => frame.contentDocument.getElementById(id);
  const texts = (id) => [...$(id).children].map((child) => child.textContent);
  let changed = performance.now();
  let watched;
  const until = async (what, done) => {
    for (changed = performance.now(); !done(); ) {
      const { contentDocument: page, contentWindow: view } = frame;
      if (page !== watched && page?.body) {
        watched = page;
        new view.MutationObserver(() => (changed = performance.now())).observe(page, { subtree: true, childList: true, characterData: true, attributes: true });
      }
      const error = view.driven?.error;
      const silent = performance.now() - changed > SILENCE_MS;
      assert(!error && !silent, `${what}: ${error ?? [...page.querySelectorAll('[role=status]')].map((status) => status.textContent).join(' | ')}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await until('the page', () => frame.contentWindow.driven && frame.contentDocument.body && ready($, frame.contentWindow));
  const drop = (files, target = frame.contentWindow) => {
    const { DataTransfer, DragEvent } = frame.contentWindow;
    const dataTransfer = new DataTransfer();
    for (const file of files) dataTransfer.items.add(file);
    target.dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true, bubbles: true }));
  };
  return { frame, view: frame.contentWindow, $, texts, until, drop };
}
