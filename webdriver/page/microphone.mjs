// Writes the demo's own sound as a WAVE file of 16 bits, for a browser whose microphone is one: `node microphone.mjs FILE`.

import { writeFileSync } from 'node:fs';
import { sampleSound } from '../../www/read/voice.js';

const { channels: [samples], rate } = await sampleSound(48_000);
const file = Buffer.alloc(44 + samples.length * 2);
[[0, 'RIFF'], [8, 'WAVEfmt '], [36, 'data']].forEach(([at, text]) => file.write(text, at, 'latin1'));
[[4, file.length - 8], [16, 16], [24, rate], [28, rate * 2], [40, samples.length * 2]].forEach(([at, number]) => file.writeUInt32LE(number, at));
[[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, number]) => file.writeUInt16LE(number, at));
samples.forEach((sample, i) => file.writeInt16LE(Math.round(Math.max(-1, Math.min(1, sample)) * 32767), 44 + i * 2));
writeFileSync(process.argv[2], file);
