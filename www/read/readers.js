// The published models that read pictures and sound, all in one pool, with what is known about their answers. Knows their names and
// where the server has them; must never know what any of them takes.

/** Sessions by what they do, with the model of each. */
export const MODELS = {
  detect: 'ocr_det_v4',
  turn: 'ocr_cls',
  recognise: 'ocr_rec_v4',
  propose: 'face_pnet',
  refine: 'face_rnet',
  settle: 'face_onet',
  type: 'file_type',
  speech: 'voice_vad',
  pitch: 'music_pitch',
};

/** Facts by name, with the file of each. */
const FACTS = {
  characters: 'ocr_rec_v4.characters.json',
  types: 'file_type.config.json',
  kinds: 'file_type.kinds.json',
};

const at = (file) => new URL(`../models/${file}`, import.meta.url);
/** The address of a model's file. */
export const modelAt = (name) => at(`${name}.onnx`).href;

async function json(file) {
  const response = await fetch(at(file));
  if (!response.ok) throw new Error(`${file}: status ${response.status}`);
  return response.json();
}

/** Calls `work` of every entry at once: an object of the same keys. */
async function each(object, work) {
  return Object.fromEntries(await Promise.all(Object.entries(object).map(async ([key, value]) => [key, await work(value)])));
}

/** Loads all of them into `pool`: `{sessions, facts}`. `onProgress` is told the share that is done, 0 to 1, and of how many models. */
export async function openReaders(pool, { onProgress = () => {}, signal } = {}) {
  const done = Object.fromEntries(Object.values(MODELS).map((name) => [name, 0]));
  // Most of a load's time goes into bytes from the server, then kernels.
  const PHASES = { download: [0, 0.6], decode: [0.6, 0.65], upload: [0.65, 0.75], compile: [0.75, 1], ready: [1, 1] };
  const progress = (name) => ({ phase, done: part, total }) => {
    // What the first call takes is no part of a load.
    if (!(phase in PHASES)) return;
    const [from, to] = PHASES[phase];
    done[name] = from + (to - from) * (total ? part / total : 0);
    const parts = Object.values(done);
    onProgress(parts.reduce((a, b) => a + b, 0) / parts.length, parts.filter((p) => p === 1).length, parts.length);
  };
  const load = (name) => pool.load(modelAt(name), { name, signal, onProgress: progress(name) });
  const [sessions, facts] = await Promise.all([each(MODELS, load), each(FACTS, json)]);
  return { sessions, facts };
}

/** Which lane runs each of `sessions`, by model. */
export const lanesOf = (sessions) => Object.values(sessions).map(({ name, lane }) => ({ name, lane }));
