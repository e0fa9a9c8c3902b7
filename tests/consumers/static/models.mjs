// Writes the two models that the root README's example names, as small as they can be, into a folder: `node models.mjs FOLDER`.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { written } from '../../browser/onnx-write.js';

const picture = { type: 'float32', dims: [1, 3, 224, 224] };
const mean = (from, to) => ({ op: 'GlobalAveragePool', inputs: [from], outputs: [to] });
const MODELS = {
  detector: {
    nodes: [{ op: 'Relu', inputs: ['image'], outputs: ['features'] }, mean('features', 'boxes')],
    inputs: { image: picture },
    outputs: { features: 'float32', boxes: 'float32' },
  },
  classifier: { nodes: [mean('input', 'classes')], inputs: { input: picture }, outputs: { classes: 'float32' } },
};
for (const [name, model] of Object.entries(MODELS)) writeFileSync(join(process.argv[2], `${name}.onnx`), written(model));
