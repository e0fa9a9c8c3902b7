/**
 * Consort: several machine-learning models at once in one web page.
 *
 * Times are milliseconds, sizes are bytes. A value that is modelled and not measured says so in its name (`predicted…`).
 */

export * from './types/tensors.js';
export * from './types/errors.js';
export * from './types/lanes.js';
export * from './types/loading.js';
export * from './types/sessions.js';
export * from './types/predictions.js';
export * from './types/accuracy.js';
export * from './types/records.js';
export * from './types/memory.js';
export * from './types/capabilities.js';
export * from './types/pool.js';

/**
 * Loads the wasm file; called by `Pool.create` where it was not called before.
 * `source` is needed only where the file does not stand beside this module. Rejects with kind `fetch` where it cannot be had; a later
 * call may try again.
 */
export function init(source?: string | URL | globalThis.Request | Response | BufferSource | WebAssembly.Module): Promise<void>;
