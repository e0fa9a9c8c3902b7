// Digests that a page states of files, as Subresource Integrity writes them. Knows digests; must never know where bytes come from.

/** From the weakest: of several the strongest counts. */
const NAMES = ['sha256', 'sha384', 'sha512'];
const LENGTHS = [44, 64, 88];

const wrong = (message) => ({ kind: 'invalid-input', message });

/** The digests that `text` allows, `{name, digests}`; refused where it is no integrity, or nothing here can check one. */
export function parsed(text, what) {
  const found = typeof text === 'string' ? text.trim().split(/\s+/).map((one) => /^(sha\d+)-([A-Za-z0-9+/]+=*)(?:\?.*)?$/.exec(one)) : [];
  const at = Math.max(-1, ...found.map((one) => NAMES.indexOf(one?.[1])));
  const digests = at < 0 ? [] : found.filter((one) => one?.[1] === NAMES[at]).map((one) => one[2]);
  if (at < 0 || !digests.every((digest) => digest.length === LENGTHS[at])) {
    throw wrong(`the integrity of ${what} is '${text}', which is no digest as 'sha256-…', 'sha384-…' or 'sha512-…' in base64`);
  }
  if (!globalThis.crypto?.subtle) {
    throw { kind: 'unsupported', message: `the integrity of ${what} cannot be checked: only a secure context (https, or localhost) has digests` };
  }
  return { name: NAMES[at], digests };
}

/** What to check of each file of a load: `{of(file)}`, `file` being a name of external data, or `undefined` for the model. */
export function integrityOf(given) {
  const { model, externalData } = typeof given === 'string' ? { model: given } : (given ?? {});
  if (given !== undefined && (given === null || !['string', 'object'].includes(typeof given))) throw wrong('integrity is neither a digest nor an object of them');
  const own = model === undefined ? undefined : parsed(model, 'the model');
  const named = externalData && new Map(Object.entries(externalData).map(([file, text]) => [file, parsed(text, `external data '${file}'`)]));
  return {
    of(file) {
      if (file === undefined) return own;
      // A name that is mistyped must not leave its file unchecked.
      if (named && !named.has(file)) throw wrong(`the integrity of external data '${file}' is not given: that of ${[...named.keys()].join(', ') || 'none'} is`);
      return named?.get(file);
    },
  };
}

const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** The digest of `bytes` where it is none of those allowed. */
export async function differs(bytes, { name, digests }) {
  const found = base64(new Uint8Array(await crypto.subtle.digest(name.replace('sha', 'SHA-'), bytes)));
  return digests.includes(found) ? undefined : `${name}-${found}`;
}

/** The error of a file whose digest is `found`. */
export const mismatch = (what, { name, digests }, found) => ({
  kind: 'integrity',
  message: `${what} is not the file that was expected: its digest is ${found}, not ${digests.map((digest) => `${name}-${digest}`).join(' or ')}`,
});
