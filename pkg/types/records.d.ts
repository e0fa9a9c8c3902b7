// What was measured, to be taken out and brought in.

/** What became of records that were imported. */
export interface ImportReport {
  /** Observations that the pool's predictors go on from. */
  taken: number;
  /** Those that they do not. */
  refused: number;
  /** The same by lane. */
  lanes: readonly {
    /** Name of the pool whose records they are. */
    pool: string;
    /** Name of the lane that recorded them, which this pool need not have. */
    lane: string;
    /** Name of that lane's combination of device, features and limits. */
    fingerprint: string;
    /** Of these, observations that the pool's predictors go on from. */
    taken: number;
    /** Of these, those that they do not. */
    refused: number;
    /** Why some were refused, in words; `null` where none was. */
    reason: string | null;
  }[];
}

/** What a pool measured, what its predictors learned from, and what became of that. */
export interface PoolRecords {
  /**
   * All of it as JSON text: `schema`, its version, 2; `pool`, a name that no other has; `fingerprint` of browser and machine; `timeOrigin`,
   * when its times begin, in milliseconds since 1970; `lanes`, each with its `rates`, its `profile` where that is measured, and
   * - `observations`: what was executed, under which conditions, how long that was forecast to take, with which interval, and how long it
   *   took, in milliseconds; the bytes that were forecast and counted;
   * - `refits`: when (`nowMs`), the `verdict` (`accepted`, `refused`, `rolledBack`), and the mean absolute errors of the logarithm of time
   *   before and after on what it had not seen;
   * - `comparisons`: the models, what each strategy was predicted and measured to take, which was recommended, which was best, the regret;
   * - `recalled`, `recalledRefits`, `recalledComparisons`: the same, as pools before this one left it in the browser's store;
   * and `imported`, documents of other pools as they came. Of observations, refits and comparisons 4096, 1024 and 256 are kept for each
   * lane; of more every second of the oldest half goes.
   */
  export(format?: 'json'): Promise<string>;
  /**
   * The same as a Parquet file, which DuckDB, pandas and others open: one row for each observation, in columns `pool`, `source` (`own`,
   * `kept` by the browser, `imported`), `schema`, `browser_fingerprint`, `lane`, `fingerprint`, `strategy`, `models`, `requests` (their number),
   * `predicted_ms`, `interval_low_ms`, `interval_high_ms`, `measured_ms`, `error` (absolute, relative), `predicted_bytes`,
   * `measured_bytes`, `held_out`, `machine` (how many times as long everything took) and `machine_log` (its logarithm), `hidden`,
   * `pressure`, `on_battery`, `busy`, `now_ms`, `began_at` (UTC) and `terms` (JSON). Rejects with `unsupported` in a service worker, which
   * may import nothing later, and with `fetch` where the file `parquet.min.js` beside this module cannot be had.
   */
  export(format: 'parquet'): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Takes what `export` gave, here, in another pool or in another browser. What lanes of this browser and machine recorded, whose rates are
   * within four times of what they are, is learned from as if an earlier pool had left it, each observation once; the rest is kept and
   * not learned from. All of it, but for records of this pool itself, is in every later export; the store keeps what was learned from.
   * Rejects with `invalid-input` for what are no records, or are of a newer schema, and takes nothing then; with `closed` once the pool was;
   * in Parquet also as `export`.
   */
  import(records: string | Uint8Array): Promise<ImportReport>;
}
