// Files that the browser keeps between pages, in a Cache of their own, with a note beside each: which version it is, how long, when it
// was used last. Knows the Cache API; must never know a network. Where nothing can be kept, nothing is, and nobody is told.

const NAME = 'consort-files';
/** Most bytes that are kept unless a page says otherwise. */
export const MAX_BYTES = 2 * 2 ** 30;
/** Of what the browser gives the origin at most so much: the page has things of its own to keep. */
const SHARE = 0.5;
/** What the disk does not take within so many milliseconds is not kept: no load waits for one longer. */
const SLOW_MS = 5000;
/** Bytes that may wait for the disk. */
const AHEAD = 16 << 20;

const noteOf = (url) => `https://consort.invalid/note?${encodeURIComponent(url)}`;
const keyOf = (url) => url.replace(/#.*$/, '');
/** Files that are whole and on their way to the disk, by their keys: whoever looks for one waits for it. */
const settling = new Map();

const within = (work) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('the disk is slow')), SLOW_MS);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};

/** Where files are kept, for pages that let `maxBytes` be; nothing where the browser has no place, as where a page is not secure. */
export async function opened(maxBytes) {
  try {
    const cache = await within(globalThis.caches.open(NAME));
    const { quota = Infinity } = (await globalThis.navigator?.storage?.estimate?.()) ?? {};
    return new Kept(cache, Math.min(maxBytes, quota * SHARE));
  } catch {
    return undefined;
  }
}

class Kept {
  constructor(cache, most) {
    this.cache = cache;
    this.most = most;
  }

  /** `{note, response}` of a file that is kept whole. */
  async find(url) {
    const key = keyOf(url);
    try {
      await settling.get(key);
      const [note, response] = await within(Promise.all([this.cache.match(noteOf(key)), this.cache.match(key)]));
      // One without the other was cut off when its page ended.
      if (note && response) return { note: await note.json(), response };
      if (note || response) await this.forget(url);
    } catch {
      // What cannot be read is not there.
    }
    return undefined;
  }

  /** Writes a note anew: it was used now. */
  async note(url, note) {
    const text = JSON.stringify({ ...note, used: Date.now() });
    await this.cache.put(noteOf(keyOf(url)), new Response(text)).catch(() => {});
  }

  async forget(url) {
    const key = keyOf(url);
    await settling.get(key);
    await Promise.all([this.cache.delete(noteOf(key)), this.cache.delete(key)]).catch(() => {});
  }

  /** Lets go of those used longest ago until `bytes` more may be kept beside `url`; whether they may. */
  async room(url, bytes) {
    if (bytes > this.most) return false;
    const all = [];
    for (const request of await this.cache.keys()) {
      if (!request.url.startsWith(noteOf(''))) continue;
      const of = decodeURIComponent(request.url.slice(noteOf('').length));
      if (of !== keyOf(url)) all.push({ of, ...(await (await this.cache.match(request)).json()) });
    }
    let held = all.reduce((sum, note) => sum + note.bytes, 0);
    for (const { of, bytes: freed } of all.sort((a, b) => a.used - b.used)) {
      if (held + bytes <= this.most) break;
      await this.forget(of);
      held -= freed;
    }
    return true;
  }

  /** A file that comes in pieces, of `total` bytes where that is known. */
  writer(url, total, signal) {
    try {
      return new Writer(this, url, total, signal);
    } catch {
      // A browser without these streams keeps nothing.
      return undefined;
    }
  }
}

/** One file on its way to the disk: all of it comes there, or nothing. */
class Writer {
  #kept;
  #url;
  #into;
  #put;
  #bytes = 0;
  /** Lets go of the signal. */
  #deaf = () => {};

  constructor(kept, url, total, signal) {
    this.#kept = kept;
    this.#url = url;
    if (total > kept.most) return;
    const size = (piece) => piece.byteLength;
    const { readable, writable } = new TransformStream(undefined, { highWaterMark: AHEAD, size }, { highWaterMark: 0 });
    this.#into = writable.getWriter();
    // Whoever stops a load does not come back for it.
    const stop = () => this.drop();
    signal?.addEventListener('abort', stop);
    this.#deaf = () => signal?.removeEventListener('abort', stop);
    const headers = { 'Content-Type': 'application/octet-stream' };
    this.#put = (async () => {
      await kept.forget(url);
      await kept.room(url, total);
      await kept.cache.put(keyOf(url), new Response(readable, { headers }));
    })();
    this.#put.catch(() => this.drop());
    this.#into.closed.catch(() => {});
  }

  async write(piece) {
    if (!this.#into) return;
    this.#bytes += piece.length;
    if (this.#bytes > this.#kept.most) return this.drop();
    const into = this.#into;
    into.write(piece).catch(() => {});
    if (into.desiredSize <= 0) await within(into.ready).catch(() => this.drop());
  }

  /** Gives up: nothing of the file stays. */
  drop() {
    const into = this.#into;
    this.#into = undefined;
    this.#deaf();
    into?.abort(new Error('the file is not kept')).catch(() => {});
  }

  /** The file is whole: `note` says what it is. Resolves with whether it is kept. */
  done(note) {
    const into = this.#into;
    if (!into) return Promise.resolve(false);
    const key = keyOf(this.#url);
    const [kept, url, bytes] = [this.#kept, this.#url, this.#bytes];
    const end = (async () => {
      try {
        await within(Promise.all([into.close(), this.#put]));
        await kept.room(url, bytes);
        await kept.note(url, { ...note, bytes });
        return true;
      } catch {
        this.drop();
        return false;
      } finally {
        this.#deaf();
        settling.delete(key);
      }
    })();
    settling.set(key, end);
    return end;
  }
}
