// Names the type of a file by a model that sees its first and its last bytes. Knows what the model takes and how sure it must be, as its
// own package says; must never know where it runs or how a page shows it.

import { Tensor } from '../pkg/index.js';

/** Bytes that say nothing at the ends of a file: tab, line feed, vertical tab, form feed, carriage return, space. */
const BLANK = new Set([9, 10, 11, 12, 13, 32]);

const utf8 = (bytes) => {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
};

/**
 * What the model sees of a file: its beginning from the first byte that is not blank, and its end up to the last, each padded on the
 * far side where there are fewer bytes. `first` and `last` are at most `block_size` bytes of each end.
 */
export function seen(first, last, { beg_size, end_size, padding_token }) {
  const out = new Int32Array(beg_size + end_size).fill(padding_token);
  const from = first.findIndex((byte) => !BLANK.has(byte));
  if (from >= 0) out.set(first.subarray(from, from + beg_size));
  const to = last.findLastIndex((byte) => !BLANK.has(byte)) + 1;
  const end = last.subarray(Math.max(0, to - end_size), to);
  out.set(end, out.length - end.length);
  return out;
}

/** What is known of a type: its name for people, its MIME type, whether it is text. */
function described(label, kinds, score) {
  const { description, mime_type, is_text } = kinds[label] ?? {};
  return { label, name: description ?? label, mime: mime_type ?? 'application/octet-stream', text: is_text ?? false, score };
}

/**
 * The type of a Blob: `{label, name, mime, text, score}`. Where the model is less sure of it than that type asks for, a file is text or
 * unknown; so is one too short for the model, which is not asked.
 */
export async function fileType(session, { types, kinds }, blob) {
  const read = async (from, to) => new Uint8Array(await blob.slice(from, to).arrayBuffer());
  const { block_size, min_file_size_for_dl, medium_confidence_threshold, target_labels_space, thresholds, overwrite_map } = types;
  const [first, last] = await Promise.all([read(0, block_size), read(Math.max(0, blob.size - block_size), blob.size)]);
  const plain = () => described(blob.size === 0 ? 'empty' : utf8(first) ? 'txt' : 'unknown', kinds, 1);
  const bytes = seen(first, last, types);
  const blank = bytes.every((byte) => byte === types.padding_token);
  if (blob.size < min_file_size_for_dl || blank) return plain();

  const outputs = await session.run({ [session.inputNames[0]]: new Tensor('int32', bytes, [1, bytes.length]) });
  const { data } = outputs[session.outputNames[0]];
  if (data.length !== target_labels_space.length) throw new Error(`the model tells ${data.length} types, its package ${target_labels_space.length}`);
  let best = 0;
  for (let i = 1; i < data.length; i++) if (data[i] > data[best]) best = i;
  const label = target_labels_space[best];
  if (data[best] >= (thresholds[label] ?? medium_confidence_threshold)) return described(overwrite_map[label] ?? label, kinds, data[best]);
  return described(kinds[label]?.is_text ? 'txt' : 'unknown', kinds, data[best]);
}
