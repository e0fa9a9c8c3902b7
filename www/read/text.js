// Reads the printed lines of a picture: a detector finds them, a classifier tells which hang upside down, a recogniser spells each. Knows
// what the three models take and give; must never know where they run or how a page shows it.

import { Tensor } from '../pkg/index.js';
import { boxesOf, corners } from './boxes.js';
import { lying, strip, turned } from './cut.js';

/** The detector sees a picture of at most so many pixels a side, and small ones four times as large at most. Sides are multiples of 32. */
const LONGEST = 960;
const LARGER = 4;
const SIDE = 32;
/** Height of a strip, width of the classifier's, and what the recogniser's widths are multiples of: few widths are few programs. */
const HEIGHT = 48;
const TURN_WIDTH = 192;
const WIDTH = 160;
const NARROWEST = 320;
/** So sure the classifier must be how a line hangs, and the recogniser, on average, of its characters. */
const TURNED = 0.9;
const READ = 0.5;
/** A gap between two characters is a space where its steps, together, are so sure of one. */
const SPACE = 0.4;

/** Sides that the detector takes for a picture. */
export function detectorSize({ width, height }) {
  const scale = Math.min(LARGER, LONGEST / Math.max(width, height));
  return [height, width].map((side) => Math.max(SIDE, Math.round((side * scale) / SIDE) * SIDE));
}

/** The only input and output of a session, which has one of each. */
async function only(session, tensor) {
  const outputs = await session.run({ [session.inputNames[0]]: tensor });
  return outputs[session.outputNames[0]];
}

/** Where the lines of a picture are. */
async function found(session, picture) {
  const size = detectorSize(picture);
  const input = await Tensor.fromImage(picture, { size, channels: 'bgr', mean: 0.5, std: 0.5, background: 255 });
  const { data } = await only(session, input);
  return boxesOf(data, size[1], size[0], picture.width, picture.height);
}

/**
 * The text of likelihoods [1, steps, classes]: the likeliest class of each step, each run of one class once, without class 0, which is
 * nothing. Classes from 1 on are `characters`, the one after them is the space, whose likelihood is often spread over the steps of a gap.
 */
export function spelled({ data, dims }, characters) {
  const [, steps, classes] = dims;
  if (classes !== characters.length + 2) throw new Error(`the recogniser has ${classes} classes for ${characters.length} characters`);
  const space = classes - 1;
  let [text, sum, count, before, gap] = ['', 0, 0, 0, 0];
  for (let step = 0; step < steps; step++) {
    const from = step * classes;
    let best = 0;
    for (let c = 1; c < classes; c++) if (data[from + c] > data[from + best]) best = c;
    if (best === 0 || best === space) gap += data[from + space];
    else if (best !== before) {
      text += `${gap > SPACE && text ? ' ' : ''}${characters[best - 1]}`;
      sum += data[from + best];
      count++;
      gap = 0;
    }
    before = best;
  }
  return { text, score: count ? sum / count : 0 };
}

/** One line: how it hangs, then what it says; where the classifier is in doubt it is spelled both ways, and the surer counts. */
async function read({ turn, recognise }, characters, picture, box) {
  const level = lying(box);
  const { data: [, upside] } = await only(turn, await strip(picture, level, HEIGHT, TURN_WIDTH));
  const width = Math.max(NARROWEST, Math.ceil((HEIGHT * level.width) / level.height / WIDTH) * WIDTH);
  const ways = upside > TURNED ? [true] : upside < 1 - TURNED ? [false] : [false, true];
  const spelt = await Promise.all(ways.map(async (hangs) => {
    const upright = hangs ? turned(level) : level;
    const told = spelled(await only(recognise, await strip(picture, upright, HEIGHT, width)), characters);
    return { ...told, corners: corners(upright), turned: hangs };
  }));
  return spelt.reduce((a, b) => (b.score > a.score ? b : a));
}

/**
 * The lines of an ImageData: `{text, score, corners, turned}` each, in the order of reading; corners in its pixels, clockwise from where
 * the text begins. Lines are asked for all at once: the pool answers callers of one model together where that is faster.
 */
export async function readText(sessions, characters, picture) {
  const boxes = await found(sessions.detect, picture);
  const lines = await Promise.all(boxes.map((box) => read(sessions, characters, picture, box)));
  return lines.filter(({ text, score }) => text !== '' && score >= READ);
}
