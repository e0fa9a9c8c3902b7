// Where a page keeps what pools measured of adapters: the browser's IndexedDB; where that fails pools go on without, and the console says
// so once of each cause. Knows keys and versions; must never know what a value says.

/** Of the database, and of each value; values of the first have fewer fields, which who reads them fills. */
const VERSION = 2;
/** How long an answer is waited for, in milliseconds: another page may block the database, and one browser or other just hangs. */
const PATIENCE_MS = 3000;

const WORDS = {
  newer: 'what was measured before is kept by a newer release, which is left alone',
  full: 'there is no room to keep what is measured',
  blocked: 'where what is measured is kept nothing answers',
  spoilt: 'what was kept of an adapter cannot be read, and is measured again',
  none: 'this browser keeps nothing of what is measured, as in a private window',
};

const said = new Set();
function warn(cause, why) {
  if (said.has(cause)) return;
  said.add(cause);
  console.warn(`consort: ${WORDS[cause]}; pools go on in memory (${why})`);
}

const CAUSES = { VersionError: 'newer', QuotaExceededError: 'full', TimeoutError: 'blocked' };

/** Whether an opening was given up that has no end yet: none is waited for beside it. */
let waits = false;

function opened() {
  return new Promise((resolve, reject) => {
    const late = new DOMException(`no answer within ${PATIENCE_MS} ms`, 'TimeoutError');
    if (waits) return reject(late);
    const opening = indexedDB.open('consort', VERSION);
    const timer = setTimeout(() => {
      waits = true;
      reject(late);
    }, PATIENCE_MS);
    const ended = () => {
      clearTimeout(timer);
      waits = false;
    };
    opening.onupgradeneeded = ({ oldVersion }) => {
      if (oldVersion < 1) opening.result.createObjectStore('adapters');
    };
    opening.onerror = (event) => {
      // It is no error of the page.
      event.preventDefault();
      ended();
      reject(opening.error);
    };
    opening.onsuccess = () => {
      const database = opening.result;
      if (waits) database.close();
      // A newer release of another page is not to wait for this one.
      database.onversionchange = () => database.close();
      ended();
      resolve(database);
    };
  });
}

/** What `work` asks of the store, once all of it is done. */
async function stored(mode, work) {
  const database = await opened();
  let timer;
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new DOMException(`no answer within ${PATIENCE_MS} ms`, 'TimeoutError')), PATIENCE_MS);
      const transaction = database.transaction('adapters', mode);
      const asked = work(transaction.objectStore('adapters'));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = () => reject(transaction.error ?? asked.error);
    });
  } finally {
    clearTimeout(timer);
    database.close();
  }
}

async function tried(mode, work) {
  try {
    return await stored(mode, work);
  } catch (error) {
    warn(CAUSES[error?.name] ?? 'none', error?.message || error?.name || error);
    return undefined;
  }
}

/** Whether a release wrote `value` that knows more than this one. */
function newer(value) {
  const is = value?.schema > VERSION;
  if (is) warn('newer', `schema ${value.schema}`);
  return is;
}

/** Refits and comparisons of one adapter that are kept at most: the newest. */
const TOLD = 64;

/** Comparisons of one pool that are kept at most for each adapter: of more every second of the oldest half goes. */
const MOST = 256;

/** What one pool's comparisons found, by fingerprint. */
export function comparisonsOf() {
  const lists = new Map();
  const of = (key) => lists.get(key) ?? [];
  return {
    of,
    add(key, found) {
      const before = of(key);
      const thinned = before.length < MOST ? before : before.filter((_, i) => i >= MOST / 2 || i % 2 === 0);
      lists.set(key, [...thinned, found]);
    },
  };
}

/**
 * What pools measured of adapters, by fingerprint, for one pool. Where the browser keeps nothing, each pool measures for itself. `left`
 * gives what earlier pools left of refits and comparisons, with times by this page's clock: nothing is learned from them.
 */
export function shelfOf() {
  const lists = new Map();
  const left = (key) => lists.get(key) ?? { refits: [], comparisons: [] };
  const compared = comparisonsOf();
  return {
    left,
    compared,
    async recall(key) {
      const value = await tried('readonly', (adapters) => adapters.get(key));
      if (newer(value)) return undefined;
      // The first release kept neither, nor when its clock began.
      const later = (value?.learned?.timeOrigin ?? 0) - performance.timeOrigin;
      const moved = (list) => (Array.isArray(list) ? list.map((one) => ({ ...one, nowMs: one?.nowMs + later })) : []);
      lists.set(key, { refits: moved(value?.refits), comparisons: moved(value?.comparisons) });
      return value;
    },
    keep: (key, known) =>
      tried('readwrite', (adapters) => {
        const { refits, comparisons } = left(key);
        const all = (before, own) => [...before, ...own].slice(-TOLD);
        const kept = { ...known, refits: all(refits, known.refits), comparisons: all(comparisons, compared.of(key)), schema: VERSION };
        const before = adapters.get(key);
        before.onsuccess = () => newer(before.result) || adapters.put(kept, key);
        return before;
      }),
    spoilt: (key, why) => warn('spoilt', `${key}: ${why}`),
  };
}
