// Files and samples as pictures that readers take. Knows how a browser decodes; must never know a model.

import { Tensor } from '../pkg/index.js';

/** The picture that the demo has: printed lines and two drawn faces (`samples/draw.py`). */
export const SAMPLE = new URL('../samples/board.webp', import.meta.url);

/** Pictures with more pixels a side than this are made smaller: no reader sees more. */
const LONGEST = 2000;

/** The pixels of a Blob, opaque over white. */
export async function decoded(blob) {
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const size = [bitmap.height, bitmap.width].map((side) => Math.max(1, Math.round(side * scale)));
  try {
    const form = { size, dtype: 'uint8', background: 255 };
    return await (await Tensor.fromImage(bitmap, form)).toImageData();
  } finally {
    bitmap.close();
  }
}
