// What an HTTP answer says of its file: which version it is, how long, which part of it comes, and whether it is a page of HTML in its
// place. Knows headers; must never know why a file is wanted, or what is done about it.

/** Statuses of a host that may answer better a moment later. */
export const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * `{etag, modified, length, sure, part, ranges, away}` of an answer: `length` of the whole file where it is said, `sure` where that counts
 * the bytes that come, `part` where only one comes, `away` where it is of another origin, which may hide headers.
 */
export function head({ headers, type, status }) {
  const get = (name) => headers.get(name) ?? undefined;
  const away = type === 'cors';
  const encoding = get('content-encoding') ?? 'identity';
  const encoded = encoding !== 'identity';
  const stated = /^\d+$/.test(get('content-length')) ? Number(get('content-length')) : undefined;
  const range = /^bytes (?:(\d+)-(\d+)|\*)\/(\d+|\*)$/.exec(get('content-range') ?? '');
  const number = (text) => (text === undefined || text === '*' ? undefined : Number(text));
  const part = range ? { from: number(range[1]), to: number(range[2]), of: number(range[3]) } : undefined;
  return {
    etag: get('etag'),
    modified: get('last-modified'),
    // An encoded file is counted as it travels, not as it arrives.
    length: part?.of ?? (encoded || status === 206 ? undefined : stated),
    stated,
    // Of another origin nobody sees whether it is encoded.
    sure: !encoded && (!away || part !== undefined),
    encoded,
    part,
    ranges: get('accept-ranges') !== 'none',
    away,
    date: get('date'),
  };
}

/** What the server is asked to compare, so that the part which follows is of the same version; nothing where it names none. */
export function validator({ etag, modified, date }) {
  if (etag) return etag.startsWith('W/') ? undefined : etag;
  // A file that was written as it was sent may have been written again within the same second.
  return modified && (!date || Date.parse(date) - Date.parse(modified) >= 1000) ? modified : undefined;
}

const opaque = (etag) => etag.replace(/^W\//, '');

/** Whether two heads are of one version, as far as both say. */
export function same(one, other) {
  if (one.etag && other.etag) return opaque(one.etag) === opaque(other.etag);
  const lengths = one.length === undefined || other.length === undefined || one.length === other.length;
  return one.modified !== undefined && one.modified === other.modified && lengths;
}

/** Whether a part, as `next` says, is what follows the first `at` bytes of the file of `known`. */
export function follows(known, next, at) {
  if (next.encoded) return false;
  // Where the range is hidden, as from a page of another origin, the part's length tells it.
  const told = next.part ?? { from: known.length === at + next.stated ? at : undefined, of: known.length };
  const lengths = known.length === undefined || told.of === undefined || known.length === told.of;
  const versions = known.etag && next.etag ? known.etag === next.etag : known.modified !== undefined && known.modified === next.modified;
  return told.from === at && lengths && versions;
}

/** The first words of a page of HTML, where it is what begins with `bytes`. */
export function page(bytes, { headers }) {
  const text = new TextDecoder().decode(bytes.subarray(0, 200)).trimStart();
  const type = headers.get('content-type') ?? '';
  // A file of weights may come as any type, and may begin with any byte, but not with both.
  const html = /^<(!doctype|html)/i.test(text) || (/^(text\/html|application\/xhtml)/i.test(type) && text.startsWith('<'));
  return html ? `${type || 'of no type'}, '${text.slice(0, 40).replace(/\s+/g, ' ').trim()}…'` : undefined;
}

/** Until when an answer that came at `now` is as good as a new one, by the page's clock; 0 where it must be asked for each time. */
export function fresh({ headers }, now) {
  const control = headers.get('cache-control') ?? '';
  const age = /max-age=(\d+)/.exec(control);
  return age && !/no-cache|no-store/.test(control) ? now + (Number(age[1]) - (Number(headers.get('age')) || 0)) * 1000 : 0;
}

/** Whether nobody may keep an answer. */
export const fleeting = ({ headers }) => /no-store/.test(headers.get('cache-control') ?? '');

/** How long the server asks to be left alone, in milliseconds. */
export function rest({ headers }) {
  const after = headers.get('retry-after');
  const seconds = /^\d+$/.test(after) ? Number(after) : (Date.parse(after) - Date.now()) / 1000;
  return seconds > 0 ? Math.min(seconds, 30) * 1000 : 0;
}
