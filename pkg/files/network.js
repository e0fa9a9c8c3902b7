// A file over a network that breaks: what a cut connection brought is kept and the rest asked for, a stalled one is ended, and what
// cannot be put right is refused in words. Knows HTTP; must never know what is in a file, or who keeps it.

import { PASSING, follows, head, page, rest, same, validator } from './answer.js';

/** So many tries in a row without a MiB of news; the pause before the second, which doubles; how long no byte may come. */
export const NETWORK = { tries: 6, pauseMs: 250, stallMs: 30_000 };
/** No pause is longer, in milliseconds. */
const LONGEST_MS = 10_000;
/** Tries that follow each other begin to count anew after so many bytes of news. */
const NEWS = 1 << 20;
/** A server that never answered is asked so often at most: what it is, is often a policy or an address that is wrong. */
const UNHEARD = 3;
/** A file that changes more often while it is fetched is refused. */
const CHANGES = 3;

/** What ends a try; another may go better. */
export class Broken extends Error {
  pauseMs = 0;
}

export const aborted = (url) => ({ kind: 'aborted', message: `the fetch of ${url} was aborted` });

const refused = (url, why, kind = 'fetch') => ({ kind, message: `${url} ${why}` });

const onWeb = (url) => /^https?:/.test(url);

/**
 * One request: `{response, read, end}`. It is `Broken` where it takes longer than `stallMs` for its head or its next bytes, and ends at
 * once where `signal` fires.
 */
export async function connect(url, { signal, stallMs, ...init }) {
  if (signal?.aborted) throw aborted(url);
  const over = new AbortController();
  const stop = () => over.abort();
  signal?.addEventListener('abort', stop);
  const end = () => {
    signal?.removeEventListener('abort', stop);
    over.abort();
  };
  const waited = async (work) => {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Broken(`no byte came for ${stallMs / 1000} s`)), stallMs);
    });
    try {
      return await Promise.race([work, late]);
    } catch (error) {
      end();
      throw signal?.aborted ? aborted(url) : error instanceof Broken ? error : new Broken(error?.message ?? String(error));
    } finally {
      clearTimeout(timer);
    }
  };
  const response = await waited(fetch(url, { ...init, signal: over.signal }));
  const reader = response.body?.getReader();
  return { response, end, read: async () => (reader ? waited(reader.read()) : { done: true }) };
}

/** Waits, or rejects where `signal` fires first. */
function pause(ms, url, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(aborted(url));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}

/** Bytes of an encoded body as it travelled since `began`, where the browser tells; some give a page the first part of one as if it were all. */
async function travelled(url, began) {
  for (let waited = 0; waited < 5; waited++) {
    const entry = performance.getEntriesByName?.(url, 'resource').findLast(({ startTime }) => startTime >= began);
    if (entry) return entry.encodedBodySize || undefined;
    await new Promise((done) => setTimeout(done, 10));
  }
  return undefined;
}

/** Refuses a length that was stated and is not there. */
function lied(url, stated, found) {
  return refused(url, `states ${stated} bytes and has ${found}: its server, or one between, is wrong about its length`);
}

/**
 * The bytes behind `url` as they come: `{piece, at, total, response}`, `at` counting from its first byte, `total` 0 where nobody says it.
 * A piece at 0 after others begins the file anew: another version, or a server that gives no parts. `first` is a connection that is
 * there already. A page of HTML is refused with the kind `odd`.
 */
export async function* arriving(url, { signal, network, first, odd }) {
  const { tries, pauseMs, stallMs } = network;
  let line = first;
  /** The head of the version of which `at` bytes came. */
  let known;
  let at = 0;
  let [failed, news, changes, deaf, heard] = [0, 0, 0, 0, false];
  for (;;) {
    const from = known && at > 0 && known.ranges && !known.encoded && deaf < 2 ? validator(known) : undefined;
    try {
      // Of another origin a condition would need its server's leave first; what comes is compared anyway.
      const began = performance.now();
      const condition = known?.away ? {} : { 'If-Range': from };
      line ??= await connect(url, from ? { signal, stallMs, cache: 'no-store', headers: { Range: `bytes=${at}-`, ...condition } } : { signal, stallMs });
      const { response } = line;
      heard = true;
      deaf = 0;
      const next = head(response);
      if (PASSING.has(response.status)) {
        throw Object.assign(new Broken(`status ${response.status} ${response.statusText}`), { pauseMs: rest(response) });
      }
      if (response.status === 416 && from) {
        if (next.part?.of === at && known.sure) throw lied(url, known.length, at);
        known = undefined;
        throw new Broken('it has no such part any more');
      }
      if (!response.ok) throw refused(url, `could not be fetched: status ${response.status} ${response.statusText}`);
      if (response.status === 206) {
        if (!from || !follows(known, next, at)) {
          if (known && !same(known, next)) changes++;
          known = undefined;
          throw new Broken('a part came that does not follow what came before');
        }
        known.length ??= next.length;
      } else {
        if (known && at > 0 && !same(known, next)) changes++;
        if (at > 0) yield { piece: new Uint8Array(), at: 0, total: next.length ?? 0, response };
        [known, at] = [next, 0];
      }
      if (changes > CHANGES) throw refused(url, `changed ${changes} times while it was fetched`);
      const exact = known.sure ? known.length : undefined;
      for (;;) {
        const { done, value } = await line.read();
        if (done) break;
        if (value.length === 0) continue;
        const html = at === 0 ? page(value, response) : undefined;
        if (html) throw refused(url, `is a page of HTML where a file was expected: status ${response.status}, ${html}`, odd);
        if (at + value.length > exact) throw lied(url, exact, `more than ${at + value.length - 1}`);
        // A length that was passed is that of an encoded file: how long it is nobody says.
        yield { piece: value, at, total: at + value.length <= known.length ? known.length : 0, response };
        at += value.length;
        if (at >= news + NEWS) [failed, news] = [0, at];
      }
      // Where nobody sees whether it is encoded, what hardly shrinks may come out a little shorter.
      const least = exact ?? (known.encoded ? 0 : (known.length ?? 0) * 0.999 - 64);
      const whole = !known.encoded || !known.stated || !((await travelled(url, began)) < known.stated);
      if (at >= least && whole) return;
      throw new Broken('the connection ended');
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      failed++;
      if (from && known?.away && !line) deaf++;
      if (!onWeb(url) || failed >= (heard ? tries : Math.min(tries, UNHEARD))) {
        const came = heard && onWeb(url) ? `: ${at} of ${known?.length ?? 'unknown'} bytes came, in ${failed} tries in a row` : '';
        throw refused(url, `could not be fetched: ${error.message}${came}`);
      }
      line?.end();
      line = undefined;
      const grown = Math.min(pauseMs * 2 ** (failed - 1), LONGEST_MS);
      // Pages that lost the same server do not come back all at once.
      await pause(Math.max(grown * (0.75 + Math.random() / 2), error.pauseMs), url, signal);
    } finally {
      line?.end();
      line = undefined;
    }
  }
}
