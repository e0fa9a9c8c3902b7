// A pool's records as documents: out as JSON or Parquet, and in again, here or elsewhere. Knows their form; must never know how anything
// is learned from them.

import { ConsortError, call, refuse } from './inside.js';

/** The form of documents. The first had neither refits nor comparisons, and no name of its pool. */
const SCHEMA = 2;

const number = (value) => typeof value === 'number' && Number.isFinite(value);
const pair = (value) => Array.isArray(value) && value.length === 2 && value.every(number);
const object = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** What is wrong with an observation; nothing where it is one. */
function faultOf(observation) {
  const { terms, predictedMs, intervalMs, measuredMs, machine, heldOut, bytes } = object(observation) ? observation : {};
  if (!object(terms) || !Array.isArray(terms.requests) || !object(terms.conditions)) return 'has no terms';
  if (!terms.requests.length || terms.requests.some((request) => typeof request?.model !== 'string')) return 'names no model';
  if (typeof terms.strategy !== 'string' || !number(terms.conditions.nowMs)) return 'says neither how nor when';
  if (![predictedMs, measuredMs].every((ms) => number(ms) && ms > 0) || !pair(intervalMs) || !number(machine)) return 'has no times';
  if (typeof heldOut !== 'boolean' || !(bytes === undefined || pair(bytes))) return 'is not complete';
  return undefined;
}

/** A document and those that came into its pool, as this release writes them. */
function checked(document) {
  if (!object(document) || !Array.isArray(document.lanes)) refuse('these are no records of a pool: they have no lanes');
  const { schema, fingerprint, timeOrigin, imported = [] } = document;
  if (!Number.isInteger(schema) || schema < 1) refuse(`these are no records of a pool: they are of schema ${schema}`);
  if (schema > SCHEMA) refuse(`these records are of schema ${schema}, and this release knows ${SCHEMA}`);
  if (typeof fingerprint !== 'string' || !number(timeOrigin) || !Array.isArray(imported)) refuse('the records do not say where they are from');
  const lanes = document.lanes.map((lane) => {
    const { lane: name, fingerprint, rates, classes } = object(lane) ? lane : {};
    if (typeof name !== 'string' || typeof fingerprint !== 'string' || !object(rates) || !Array.isArray(classes)) refuse('a lane of the records says not what it is');
    const lists = { observations: [], refits: [], comparisons: [], recalled: [], recalledRefits: [], recalledComparisons: [] };
    for (const list of Object.keys(lists)) {
      lists[list] = lane[list] ?? [];
      if (!Array.isArray(lists[list])) refuse(`${list} of lane '${name}' are no list`);
    }
    for (const list of ['observations', 'recalled']) {
      lists[list] = lists[list].map((observation, i) => {
        const fault = faultOf(observation);
        if (fault) refuse(`number ${i} of the ${list} of lane '${name}' ${fault}`);
        // The first schema counted no bytes.
        return observation.bytes ? observation : { ...observation, bytes: [0, 0] };
      });
    }
    return { ...lane, ...lists };
  });
  // The first schema named no pool: no two pages begin at one time.
  const { pool = `of ${timeOrigin}` } = document;
  return [{ ...document, schema: SCHEMA, pool, lanes, imported: undefined }, ...imported.flatMap(checked)];
}

/** What writes and reads Parquet, which few pages need. */
let parquet;
const fetched = () =>
  (parquet ??= import(/* @vite-ignore */ /* webpackIgnore: true */ new URL('./parquet.min.js', import.meta.url).href).catch((error) => {
    parquet = undefined;
    const kind = globalThis.ServiceWorkerGlobalScope ? 'unsupported' : 'fetch';
    throw new ConsortError(kind, `what writes and reads Parquet could not be imported here: ${error.message}`);
  }));

async function documentOf(data) {
  if (data instanceof Uint8Array) {
    const { read } = await fetched();
    return read(data).catch((error) => refuse(`these bytes are no records in Parquet: ${error.message}`));
  }
  if (typeof data !== 'string') refuse('records come as JSON text or as the bytes of Parquet');
  try {
    return JSON.parse(data);
  } catch (error) {
    return refuse(`this text is no records in JSON: ${error.message}`);
  }
}

/** What a lane left, as wasm takes what a shelf keeps. */
const known = ({ profile, rates, observations, recalled }, timeOrigin) => ({ ...profile, learned: { rates, observations: [...recalled, ...observations], timeOrigin } });

/** The records of `pool`, of wasm, on a machine and browser of that `fingerprint`. */
export function recordsOf(pool, fingerprint) {
  const name = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  /** Documents of other pools, by their names. */
  const others = new Map();

  const whole = async () => {
    const { timeOrigin, lanes } = await call(() => pool.records());
    return { schema: SCHEMA, pool: name, fingerprint, timeOrigin, lanes, imported: [...others.values()] };
  };

  /** Why this pool does not learn from `lane` of `document`. */
  const foreign = (document, lane, own) => {
    if (document.fingerprint !== fingerprint) return 'another machine or browser measured them';
    const like = own.find((mine) => mine.fingerprint === lane.fingerprint);
    if (!like) return 'this pool has no such lane';
    if (`${like.classes}` !== `${lane.classes}`) return 'they are of a release with other kernels';
    return undefined;
  };

  return Object.freeze({
    async export(format = 'json') {
      if (format === 'json') return JSON.stringify(await whole());
      if (format !== 'parquet') refuse(`there is no format '${format}': 'json', 'parquet'`);
      const { write } = await fetched();
      return write(await whole());
    },

    async import(data) {
      const documents = checked(await documentOf(data));
      const { lanes: own } = await call(() => pool.records());
      const all = documents.flatMap((document) => document.lanes.map((lane) => ({ document, lane, why: foreign(document, lane, own) })));
      const given = all.filter(({ why }) => !why);
      const lanes = given.map(({ document, lane }) => [lane.fingerprint, known(lane, document.timeOrigin)]);
      const became = await call(() => pool.import(lanes));
      for (const document of documents) if (document.pool !== name) others.set(document.pool, document);
      const report = all.map(({ document, lane, why }) => {
        const count = lane.observations.length + lane.recalled.length;
        const ends = became[given.findIndex((one) => one.lane === lane)];
        const [taken, known] = ends ?? [0, 0];
        const words = Object.entries({ 'were known': known, 'took what cannot be': count - taken - known });
        const told = words.filter(([, some]) => some).map(([what, some]) => `${some} ${what}`);
        const reason = why ?? (ends ? told.join(', ') : 'the lane is not as fast, or as slow, as it was there');
        return { pool: document.pool, lane: lane.lane, fingerprint: lane.fingerprint, taken, refused: count - taken, reason: reason || null };
      });
      const sum = (of) => report.reduce((all, lane) => all + lane[of], 0);
      return { taken: sum('taken'), refused: sum('refused'), lanes: report };
    },
  });
}
