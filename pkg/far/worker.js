// A worker with a pool in it: it answers calls by their names. Knows how values cross; must never know what they mean.

import { init, opened } from '../inside.js';

let pool;
/** What aborts the calls under way that may be, by their numbers. */
const aborts = new Map();

/** Calls that are told to the page while they are under way, or that it may abort: where their options stand. */
const OPTIONS = { load: 1, preload: 1, runAll: 1, compare: 1 };
/** How long what is large of the pool's state waits for more to happen, in milliseconds. */
const LARGE_MS = 100;

/** What the page is asked for without waiting, as it is now. */
const small = () => ({ memory: pool.memory(), traffic: pool.traffic(), lanes: each(pool.lane.bind(pool)), answered: each(pool.answered.bind(pool)) });
const large = () => ({
  accuracy: Object.fromEntries(pool.capabilities().lanes.map((lane) => [lane, pool.accuracy(lane)])),
  maps: each(pool.memoryMap.bind(pool)),
});

const sessions = new Set();
const each = (of) => new Map(Array.from(sessions, (session) => [session, of(session)]));

let waiting;
function later() {
  waiting ??= setTimeout(() => {
    waiting = undefined;
    if (pool) postMessage({ state: { ...small(), ...large() } });
  }, LARGE_MS);
}

/** Elements of an answer that are moved instead of copied. */
function moved(value, found = []) {
  if (ArrayBuffer.isView(value)) found.push(value.buffer);
  else if (value !== null && typeof value === 'object') Object.values(value).forEach((part) => moved(part, found));
  return found;
}

async function begun({ source, options, listens, lock }) {
  // Whoever waits for the lock learns of this worker's end, whatever that was.
  if (lock) {
    await new Promise((held) => navigator.locks.request(lock, () => (held(), new Promise(() => {}))));
    postMessage({ lives: lock });
  }
  await init(source);
  const onFallback = listens ? (fallback) => postMessage({ fallback }) : undefined;
  pool = await opened({ ...options, onFallback });
  return { capabilities: pool.capabilities(), profiles: pool.profiles(), ...small(), ...large() };
}

async function called(id, name, args, progresses) {
  if (name in OPTIONS) {
    const abort = new AbortController();
    aborts.set(id, abort);
    const onProgress = progresses ? (progress) => postMessage({ id, progress }) : undefined;
    args[OPTIONS[name]] = { ...args[OPTIONS[name]], signal: abort.signal, onProgress };
  }
  const value = await pool[name](...args);
  if (name === 'load') sessions.add(value.id);
  if (name === 'release') sessions.delete(args[0]);
  return value;
}

onmessage = async ({ data: { id, begin, name, args, progresses, abort } }) => {
  if (abort !== undefined) return aborts.get(abort)?.abort();
  try {
    const value = await (begin ? begun(begin) : called(id, name, args, progresses));
    const state = pool && name !== 'close' ? small() : undefined;
    postMessage({ id, value, state: name === 'load' || name === 'compare' ? { ...state, ...large() } : state }, moved(value));
    if (state) later();
  } catch (error) {
    const { kind = 'internal', message = String(error), model, node } = error ?? {};
    postMessage({ id, error: { kind, message, model, node } });
  } finally {
    aborts.delete(id);
  }
};
