// Lanes that are lost while models are loaded onto them. Knows what a load tells; must never know what a lane is.

import { assert } from './harness.js';
import { load, relativeError } from './models.js';

/** At what a load tells its lane is lost, and so many milliseconds later. */
const MOMENTS = [['decode', 0], ['decode', 1], ['upload', 0], ['compile', 0], ['decode', 5], ['upload', 3], ['decode', 15], ['upload', 10]];

/** Loads `model` once for every moment, at which `lose` is called: all are loaded, and answer right. By moment: the lane that did. */
export async function loadedThroughLosses(pool, model, lose, moments = MOMENTS) {
  const lanes = {};
  for (const [phase, ms] of moments) {
    const moment = `${ms} ms after '${phase}'`;
    let lost;
    const onProgress = (told) => {
      if (told.phase !== phase) return;
      lost ??= ms ? new Promise((done) => setTimeout(() => done(lose()), ms)) : Promise.resolve(lose());
    };
    const { session, feeds } = await load(pool, model, { onProgress }).catch((error) => {
      throw Object.assign(error, { message: `lost ${moment}: ${error.message}` });
    });
    lanes[moment] = session.lane;
    assert(lost, `the load did not tell of '${phase}'`);
    await lost;
    const off = relativeError(model, await session.run(feeds));
    assert(off <= 1e-3, `lost ${moment}: relative error ${off}`);
    await session.release();
  }
  return lanes;
}
