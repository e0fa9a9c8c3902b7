// How a page learns that a worker has ended, whatever ended it: the worker holds a lock for as long as it lives.

/** Resolves once this worker holds `lock`. */
export const hold = (lock) => new Promise((held) => navigator.locks.request(lock, () => (held(), new Promise(() => {}))));

/** Calls `gone` when whoever holds `lock` has ended, unless `signal` fires before. */
export const watch = (lock, signal, gone) => void navigator.locks.request(lock, { signal }, gone).catch(() => {});

/** A name for such a lock; nothing where there are none, as on a page that is not secure: an end is known there only where it is said. */
export const lock = () => globalThis.navigator?.locks && `consort worker ${crypto.randomUUID()}`;
