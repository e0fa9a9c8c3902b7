// The files of one load, each opened by its address: what is kept and still current, else over the network, checked, told of, and kept
// for the next page. Brings network, Cache and digests together; must never know what is in a file.

import { fleeting, fresh, head, same } from './answer.js';
import { differs, integrityOf, mismatch } from './integrity.js';
import { MAX_BYTES, opened } from './keep.js';
import { Broken, NETWORK, arriving, connect } from './network.js';

/** Bytes of a file that wasm is handed at once. */
const PIECE = 4 << 20;
/** Speeds are of so many milliseconds. */
const SPEED_MS = 2000;

/** Addresses that were fetched ahead: the next load of each asks nobody whether it is current. */
const ahead = new Set();

const away = (url) => new URL(url).origin !== (globalThis.origin ?? location.origin);

function networkOf(given = {}) {
  const network = { ...NETWORK, ...given };
  for (const [name, least] of [['tries', 1], ['pauseMs', 0], ['stallMs', 1]]) {
    if (!(network[name] >= least)) throw { kind: 'invalid-input', message: `network.${name} is ${network[name]}, not ${least} or more` };
  }
  return network;
}

/** Most bytes to keep; nothing where none are. */
function boundOf(cache = true) {
  if (cache === false) return undefined;
  const { maxBytes = MAX_BYTES } = cache === true ? {} : (cache ?? {});
  if (!(maxBytes > 0)) throw { kind: 'invalid-input', message: `cache.maxBytes is ${maxBytes}, not above 0` };
  return maxBytes;
}

/** Tells a page how far its files are: at most once for each percent, or MiB where nobody says how long one is. */
function teller(onProgress) {
  let before = 0;
  let last;
  let of;
  return (file, at, total, source, ended) => {
    const now = performance.now();
    if (of?.file !== file) of = { file, began: now, marks: [[now, 0]] };
    if (at < of.marks.at(-1)[1]) of.marks = [[now, 0]];
    of.marks.push([now, at]);
    while (of.marks.length > 2 && now - of.marks[1][0] > SPEED_MS) of.marks.shift();
    const step = `${file} ${Math.floor(total ? (at * 100) / total : at / 2 ** 20)} ${ended}`;
    if (step === last) return;
    last = step;
    const [since, had] = of.marks[0];
    const bytesPerSecond = now > since ? ((at - had) * 1000) / (now - since) : 0;
    const told = { phase: 'download', done: before + at, total: total ? before + total : 0, file, fileDone: at, fileTotal: total, bytesPerSecond, source };
    if (ended) before += at;
    try {
      onProgress?.(told);
    } catch {
      // A callback that throws must not stop the load.
    }
  };
}

function* cut(bytes, besides) {
  for (let at = 0; at < bytes.length; at += PIECE) yield { piece: bytes.subarray(at, at + PIECE), at, total: bytes.length, ...besides };
}

/** A kept file in pieces. */
async function* read(response) {
  const reader = response.body.getReader();
  for (let at = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    yield { piece: value, at };
    at += value.length;
  }
}

/**
 * Whether what is kept is the file that its server has: `{current}`, or `{line}` by which another comes. Nobody hears of a server that
 * cannot be asked: what is kept serves. Of another origin a condition would need its server's leave, so that its head is asked for.
 */
async function checked(url, note, connection) {
  if (note.fresh > Date.now()) return { current: true };
  const is = ({ response }) => response.ok && same(note, head(response));
  const ask = (init) =>
    connect(url, { ...connection, ...init }).catch((error) => {
      if (!(error instanceof Broken)) throw error;
    });
  const elsewhere = note.away || away(url);
  if (elsewhere) {
    const line = await ask({ method: 'HEAD', cache: 'no-cache' });
    line?.end();
    if (line && is(line)) return { current: true, until: fresh(line.response, Date.now()) };
  }
  const condition = { ...(note.etag && { 'If-None-Match': note.etag }), ...(note.modified && { 'If-Modified-Since': note.modified }) };
  const line = await ask({ cache: elsewhere ? 'no-cache' : 'no-store', headers: elsewhere ? {} : condition });
  if (line && line.response.status !== 304 && line.response.status < 500 && !is(line)) return { line };
  line?.end();
  return { current: true, until: line && fresh(line.response, Date.now()) };
}

/** The files of a load with `options`. Options that make no sense are refused before anything is fetched. */
export function filesOf({ signal: whole, cache, integrity, network: given, onProgress }, preloads = false) {
  const [network, bound, integrities] = [networkOf(given), boundOf(cache), integrityOf(integrity)];
  const tell = teller(onProgress);
  let shelf;
  /** Where files are kept, opened when the first is wanted. */
  const place = () => (shelf ??= bound === undefined ? Promise.resolve() : opened(bound));
  const used = new Set();
  const keeping = [];

  /** A file whose digest is stated: nothing of it is handed on before it is known to be right. */
  async function* proven(url, what, digest, kept, { signal, odd }, again) {
    if (kept) {
      const bytes = new Uint8Array(await kept.response.arrayBuffer());
      if (!(await differs(bytes, digest))) return yield* cut(bytes, { source: 'cache' });
      await (await place()).forget(url);
    }
    let parts = [];
    let last;
    for await (const { piece, at, total, response } of arriving(url, { signal, network, odd })) {
      if (at === 0) parts = [];
      parts.push(piece);
      last = response;
      if (!again) tell(url, at + piece.length, total, 'network', false);
    }
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    parts = undefined;
    const found = await differs(bytes, digest);
    if (found) throw mismatch(`${what}, ${url},`, digest, found);
    const writer = last && !fleeting(last) && (await place())?.writer(url, bytes.length, signal);
    if (writer) {
      for (const { piece } of cut(bytes)) await writer.write(piece);
      keeping.push(writer.done(noted(last)));
    }
    yield* cut(bytes, { told: true });
  }

  const noted = (response) => {
    // One that an address of this origin leads to may be of another.
    const { etag, modified, length, away } = head(response);
    return { etag, modified, length, away, fresh: fresh(response, Date.now()) };
  };

  /** What is kept, where it may serve. */
  async function* shelved(url, { note, response }) {
    let at = 0;
    for await (const part of read(response)) {
      yield part;
      at += part.piece.length;
    }
    if (at !== note.bytes) throw new Broken('what was kept is not whole');
  }

  /** The file over the network, kept as it comes. */
  async function* coming(url, connection, line) {
    const { signal } = connection;
    let writer;
    let last;
    try {
      for await (const { piece, at, total, response } of arriving(url, { ...connection, network, first: line })) {
        if (at === 0) {
          writer?.drop();
          writer = undefined;
          if (!fleeting(response) && /^https?:/.test(url) && piece.length > 0) writer = (await place())?.writer(url, total, signal);
        }
        last = response;
        await writer?.write(piece);
        yield { piece, at, total };
      }
      if (writer) keeping.push(writer.done(noted(last)));
      writer = undefined;
    } finally {
      writer?.drop();
    }
  }

  /** Pieces `{piece, at}` of a file, and what is told of them: from what is kept where that serves. */
  async function* pieces(url, file, again) {
    const signal = again ? undefined : whole;
    const connection = { signal, stallMs: network.stallMs, odd: file === undefined ? 'invalid-model' : 'fetch' };
    const what = file === undefined ? 'the model' : `external data '${file}'`;
    const digest = integrities.of(file);
    const keeps = /^https?:/.test(url) ? await place() : undefined;
    const kept = await keeps?.find(url);
    if (digest) return yield* proven(url, what, digest, kept, connection, again);
    let line;
    if (kept) {
      // What a lane lost is wanted as it was loaded.
      const asked = again || (!preloads && ahead.delete(url)) ? { current: true } : await checked(url, kept.note, connection);
      ({ line } = asked);
      if (line) await kept.response.body?.cancel();
      if (asked.current) {
        try {
          for await (const part of shelved(url, kept)) yield { ...part, total: kept.note.bytes, source: 'cache' };
          await keeps.note(url, { ...kept.note, fresh: asked.until || kept.note.fresh });
          return;
        } catch {
          // The browser lost what it kept: it is fetched.
          await keeps.forget(url);
        }
      }
    }
    yield* coming(url, connection, line);
  }

  return {
    /** The bytes behind `url`, of external data where `file` says its name; `again` for one that was loaded before. */
    async *open(url, file, again) {
      used.add(url);
      let [done, from] = [0, 'network'];
      for await (const { piece, at, total, source = 'network', told = again } of pieces(url, file, again)) {
        yield { piece, at, total };
        [done, from] = [at + piece.length, source];
        if (!told) tell(url, done, total, from, false);
      }
      if (!again) tell(url, done, done, from, true);
    },
    /** Checks what the page gave as bytes. */
    async check(bytes, file) {
      const digest = integrities.of(file);
      const found = digest && (await differs(bytes, digest));
      if (found) throw mismatch(file === undefined ? 'the model' : `external data '${file}'`, digest, found);
    },
    /** Lets go of what was kept of a load whose files were no model. */
    async refused() {
      const kept = await place();
      await Promise.all(Array.from(used, (url) => kept?.forget(url)));
    },
    /** Bytes that are kept of the files that were opened, which the next load has without asking. */
    async kept() {
      await Promise.all(keeping);
      const [keeps, found] = [await place(), []];
      for (const url of used) {
        const one = await keeps?.find(url);
        if (one) found.push(one.note.bytes);
        if (one) ahead.add(url);
      }
      return found.reduce((sum, bytes) => sum + bytes, 0);
    },
  };
}
