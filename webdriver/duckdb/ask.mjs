// Asks DuckDB of records that a page exported: `node ask.mjs NODE_MODULES TOLD PARQUET`, where TOLD is what the page left, as JSON, and
// PARQUET the file to write. Knows SQL; must never know what is right.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [modules, told, file] = process.argv.slice(2);
const { DuckDBInstance } = createRequire(join(modules, '@duckdb/node-api/package.json'))('@duckdb/node-api');
writeFileSync(file, Buffer.from(JSON.parse(readFileSync(told)).parquet, 'base64'));

const connection = await (await DuckDBInstance.create()).connect();
const answer = await connection.runAndReadAll(
  `SELECT strategy, count(*)::INTEGER AS count, avg(error) AS error, avg(abs(predicted_ms / measured_ms - 1)) AS computed,
     avg(abs(predicted_bytes / measured_bytes - 1)) AS bytes, count(DISTINCT json_extract_string(terms, '$.strategy'))::INTEGER AS told
   FROM read_parquet($file) WHERE source = 'own' AND lane = 'cpu' GROUP BY strategy ORDER BY strategy`,
  { file },
);
console.log(JSON.stringify(answer.getRowObjectsJson()));
