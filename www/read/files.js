// Files as pictures and sounds that readers take, and back: what is dropped, recorded, or a sample. Knows how a browser decodes and what a
// WAVE file is; must never know a model.

import { Tensor } from '../pkg/index.js';

/** The picture that the demo has: printed lines and two drawn faces (`samples/draw.py`). */
export const SAMPLE = new URL('../samples/board.webp', import.meta.url);

/** Pictures with more pixels a side than this are made smaller: no reader sees more. */
const MOST_PIXELS = 2000;

/** The pixels of a bitmap as it is, over white. */
function drawn(bitmap) {
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d', { willReadFrequently: true });
  context.fillStyle = 'white';
  context.fillRect(0, 0, bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

/** The pixels of a Blob, opaque over white. */
export async function decoded(blob) {
  const bitmap = await createImageBitmap(blob);
  const scale = Math.min(1, MOST_PIXELS / Math.max(bitmap.width, bitmap.height));
  const size = [bitmap.height, bitmap.width].map((side) => Math.max(1, Math.round(side * scale)));
  try {
    if (scale === 1) return drawn(bitmap);
    const form = { size, dtype: 'uint8', background: 255 };
    return await (await Tensor.fromImage(bitmap, form)).toImageData();
  } finally {
    bitmap.close();
  }
}

/** Of longer sounds the beginning is heard. */
export const MOST_SECONDS = 30;
/** Samples a second of what is decoded. */
const RATE = 44100;

/** A Blob's sound, as `Tensor.fromAudio` takes it, at most MOST_SECONDS seconds. */
export async function decodedSound(blob) {
  const context = new OfflineAudioContext(1, 1, RATE);
  const buffer = await context.decodeAudioData(await blob.arrayBuffer());
  const length = Math.min(buffer.length, MOST_SECONDS * buffer.sampleRate);
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c).subarray(0, length));
  return { channels, rate: buffer.sampleRate };
}

/** A sound as a WAVE file of 16 bits. */
export function wave({ channels, rate }) {
  const width = channels.length * 2;
  const bytes = channels[0].length * width;
  const view = new DataView(new ArrayBuffer(44 + bytes));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  [[0, 'RIFF'], [8, 'WAVEfmt '], [36, 'data']].forEach(([at, letters]) => text(at, letters));
  [[4, 36 + bytes], [16, 16], [24, rate], [28, rate * width], [40, bytes]].forEach(([at, number]) => view.setUint32(at, number, true));
  [[20, 1], [22, channels.length], [32, width], [34, 16]].forEach(([at, number]) => view.setUint16(at, number, true));
  channels.forEach((channel, c) => channel.forEach((sample, i) => view.setInt16(44 + i * width + c * 2, Math.max(-1, Math.min(1, sample)) * 32767, true)));
  return new Blob([view.buffer], { type: 'audio/wav' });
}

/** What a browser does to speech in a call takes notes for noise. */
const AS_IT_IS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
/** Why there is nothing to record, by the name of the browser's error. */
const SILENT = {
  NotAllowedError: 'this page may not use the microphone. Allow it in the browser’s settings for this page, then record again.',
  NotFoundError: 'no microphone was found.',
  NotReadableError: 'the microphone cannot be read. Another program may hold it.',
};

/** The microphone; where there is none to be had, an error that says why. */
const microphone = () =>
  navigator.mediaDevices.getUserMedia({ audio: AS_IT_IS }).catch((error) => {
    throw new Error(SILENT[error.name] ?? error.message, { cause: error });
  });

/** What the microphone hears until `stopped` resolves, once `began` was called: a Blob. */
export async function recorded(stopped, began = () => {}) {
  const stream = await microphone();
  try {
    const recorder = new MediaRecorder(stream);
    const parts = [];
    const ended = new Promise((done) => Object.assign(recorder, { ondataavailable: (e) => parts.push(e.data), onstop: done }));
    recorder.start();
    began();
    await stopped;
    recorder.stop();
    await ended;
    return new Blob(parts, { type: recorder.mimeType });
  } finally {
    stream.getTracks().forEach((track) => track.stop());
  }
}
