// Sound into elements of a tensor: channels as samples at another rate. Knows samples and filters; must never know a pool or a model.

import { slices } from './breath.js';
import { refuse } from './inside.js';

/** Zero crossings of the filter to each side: what is kept ends 0.92 of the way to half of the lower rate. */
const CROSSINGS = 64;
/** Kaiser's parameter: what the filter stops is 86 dB down. */
const BETA = 8.6;
/** Where the filter is half down, as a share of half of the lower rate: it stops all beyond that half. */
const CUTOFF = 0.958;
/** Samples that are made before the clock is looked at. */
const LOOK = 1 << 10;

/** The modified Bessel function of order 0. */
function bessel(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function divisor(a, b) {
  return b === 0 ? a : divisor(b, a % b);
}

/**
 * The filter's weights for a result that lies `phase` of a sample after a sample, for the samples from `1 - reach` before it to `reach`
 * after. They sum to 1.
 */
function weights(phase, reach, band) {
  const edge = bessel(BETA);
  const out = Float64Array.from({ length: 2 * reach }, (_, k) => {
    const distance = k - reach + 1 - phase;
    const across = distance * band;
    const share = across / CROSSINGS;
    if (Math.abs(share) >= 1) return 0;
    const x = Math.PI * across * CUTOFF;
    return (x === 0 ? 1 : Math.sin(x) / x) * bessel(BETA * Math.sqrt(1 - share * share)) / edge;
  });
  const sum = out.reduce((a, b) => a + b, 0);
  return out.map((w) => w / sum);
}

/** `samples` of rate `from` as samples of rate `to`; beyond its ends there is silence. */
export async function resampled(samples, from, to) {
  if (from === to) return Float32Array.from(samples);
  const common = divisor(from, to);
  // A result each `every` of `phases` places between two samples.
  const [phases, every] = [to / common, from / common];
  const band = Math.min(1, to / from);
  const reach = Math.ceil(CROSSINGS / band);
  const out = new Float32Array(Math.max(1, Math.round((samples.length * to) / from)));
  const turn = slices();
  let made = 0;
  for (let first = 0; first < Math.min(phases, out.length); first++) {
    const filter = weights(((first * every) % phases) / phases, reach, band);
    for (let n = first; n < out.length; n += phases) {
      const start = Math.floor((n * every) / phases) - reach + 1;
      const end = Math.min(filter.length, samples.length - start);
      let sum = 0;
      for (let k = Math.max(0, -start); k < end; k++) sum += filter[k] * samples[start + k];
      out[n] = sum;
      if (++made % LOOK === 0) await turn();
    }
  }
  return out;
}

const right = (rate) => Number.isSafeInteger(rate) && rate >= 1000 && rate <= 768_000;

/** The channels of an AudioBuffer, or those given, and their rate. */
function channelsOf(source) {
  if (typeof source?.getChannelData === 'function') {
    const channels = Array.from({ length: source.numberOfChannels }, (_, c) => source.getChannelData(c));
    return { channels, rate: source.sampleRate };
  }
  if (!Array.isArray(source?.channels)) refuse('a sound comes from an AudioBuffer, or from { channels, rate }');
  return source;
}

/** What a tensor is made of for a sound: `{type, data, dims}`. */
export async function fromAudio(source, options = {}) {
  const { channels, rate: from } = channelsOf(source);
  const { rate = from, mono = true } = options;
  if (!right(from) || !right(rate)) refuse(`rates are whole numbers of Hz, 1000 to 768000: not ${right(from) ? rate : from}`);
  if (!channels.every((c) => c instanceof Float32Array)) refuse('channels are Float32Arrays');
  const length = channels[0]?.length ?? 0;
  if (length === 0) refuse('the sound is empty');
  if (!channels.every((c) => c.length === length)) refuse(`channels differ in length: ${channels.map((c) => c.length).join(', ')}`);
  const mixed = mono && channels.length > 1 ? [mix(channels, length)] : channels;
  const made = [];
  for (const channel of mixed) made.push(await resampled(channel, from, rate));
  const data = new Float32Array(made.length * made[0].length);
  made.forEach((channel, c) => data.set(channel, c * channel.length));
  return { type: 'float32', data, dims: [made.length, made[0].length] };
}

/** The mean of all channels. */
function mix(channels, length) {
  const out = new Float32Array(length);
  for (const channel of channels) for (let i = 0; i < length; i++) out[i] += channel[i] / channels.length;
  return out;
}
