// A pool's records as a Parquet file and back: the source of `pkg/parquet.min.js`, which `bundle.mjs` makes. One row for each
// observation, in plain columns, and its terms as JSON; what is no observation stands in the file's own metadata. Knows the form of
// documents; must never know who reads them.

import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';

/** The file's metadata of this name is the document without its observations. */
const KEY = 'consort';
/** The lists of a lane whose elements are rows, and what a row is then the source of. */
const LISTS = { recalled: 'kept', observations: 'own' };

/** Every list of observations of a document, in the order of rows. */
const listsOf = (document) =>
  [document, ...document.imported].flatMap((of) => of.lanes.flatMap((lane) => Object.keys(LISTS).map((list) => ({ of, lane, list }))));

const COLUMNS = [
  ['pool', 'STRING', ({ of }) => of.pool],
  ['source', 'STRING', ({ of, list, document }) => (of === document ? LISTS[list] : 'imported')],
  ['schema', 'INT32', ({ of }) => of.schema],
  ['browser_fingerprint', 'STRING', ({ of }) => of.fingerprint],
  ['lane', 'STRING', ({ lane }) => lane.lane],
  ['fingerprint', 'STRING', ({ lane }) => lane.fingerprint],
  ['strategy', 'STRING', ({ o }) => o.terms.strategy],
  ['models', 'STRING', ({ o }) => o.terms.requests.map(({ model }) => model).sort().join(', ')],
  ['requests', 'INT32', ({ o }) => o.terms.requests.length],
  ['predicted_ms', 'DOUBLE', ({ o }) => o.predictedMs],
  ['interval_low_ms', 'DOUBLE', ({ o }) => o.intervalMs[0]],
  ['interval_high_ms', 'DOUBLE', ({ o }) => o.intervalMs[1]],
  ['measured_ms', 'DOUBLE', ({ o }) => o.measuredMs],
  ['error', 'DOUBLE', ({ o }) => Math.abs(o.predictedMs / o.measuredMs - 1)],
  ['predicted_bytes', 'DOUBLE', ({ o }) => o.bytes?.[0] || null],
  ['measured_bytes', 'DOUBLE', ({ o }) => o.bytes?.[1] || null],
  ['held_out', 'BOOLEAN', ({ o }) => o.heldOut],
  ['machine', 'DOUBLE', ({ o }) => Math.exp(o.machine)],
  ['machine_log', 'DOUBLE', ({ o }) => o.machine],
  ['hidden', 'BOOLEAN', ({ o }) => o.terms.conditions.hidden],
  ['pressure', 'STRING', ({ o }) => o.terms.conditions.pressure],
  ['on_battery', 'BOOLEAN', ({ o }) => o.terms.conditions.onBattery],
  ['busy', 'DOUBLE', ({ o }) => o.terms.conditions.busy],
  ['now_ms', 'DOUBLE', ({ o }) => o.terms.conditions.nowMs],
  ['began_at', 'TIMESTAMP', ({ o, of }) => new Date(of.timeOrigin + o.terms.conditions.nowMs)],
  ['terms', 'STRING', ({ o }) => JSON.stringify(o.terms)],
];

/** The bytes of `document`. */
export function write(document) {
  const rows = listsOf(document).flatMap(({ of, lane, list }) => lane[list].map((o) => ({ document, of, lane, list, o })));
  const bare = (of) => {
    const count = (lane) => Object.fromEntries(Object.keys(LISTS).map((list) => [list, lane[list].length]));
    return { ...of, imported: undefined, lanes: of.lanes.map((lane) => ({ ...lane, ...count(lane) })) };
  };
  const value = JSON.stringify({ ...bare(document), imported: document.imported.map(bare) });
  return new Uint8Array(
    parquetWriteBuffer({
      columnData: COLUMNS.map(([name, type, of]) => ({ name, type, data: rows.map((row) => of(row) ?? null), nullable: true })),
      kvMetadata: [{ key: KEY, value }],
      createdBy: 'consort-ml',
    }),
  );
}

/** The document whose bytes these are. */
export async function read(bytes) {
  const file = bytes.slice().buffer;
  const metadata = parquetMetadata(file);
  const own = metadata.key_value_metadata?.find(({ key }) => key === KEY)?.value;
  if (own === undefined) throw new Error(`the file has no metadata '${KEY}', which an export has`);
  const document = JSON.parse(own);
  const rows = await parquetReadObjects({ file, metadata });
  let at = 0;
  for (const { lane, list } of listsOf(document)) {
    lane[list] = rows.slice(at, (at += lane[list])).map((row) => ({
      terms: JSON.parse(row.terms),
      predictedMs: row.predicted_ms,
      intervalMs: [row.interval_low_ms, row.interval_high_ms],
      measuredMs: row.measured_ms,
      machine: row.machine_log,
      heldOut: row.held_out,
      bytes: [row.predicted_bytes ?? 0, row.measured_bytes ?? 0],
    }));
  }
  if (at !== rows.length) throw new Error(`it has ${rows.length} rows instead of ${at}`);
  return document;
}
