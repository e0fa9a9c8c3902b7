// Tensors: their types, what they are made of, and pictures and sounds as such.

import type { Pool } from './pool.js';

/** Element types of tensors. */
export type TensorType =
  | 'float32'
  | 'float16'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool';

/**
 * The typed array that holds each element type. A model of float16 is computed, and rounded, as float32; float16 is what goes in
 * and comes out. The GPU computes with float32, int32, bool, and int64 of 32 bits; what is of another type, and does more than
 * to be cast to one of these, runs on a processor.
 */
export interface TensorData {
  /** 24 significant bits: what every lane takes. */
  float32: Float32Array;
  /** `Float16Array`; its bits in a `Uint16Array` where the browser has none. Both may be given. */
  float16: Float16Elements;
  /** 53 significant bits. */
  float64: Float64Array;
  /** −128 to 127. */
  int8: Int8Array;
  /** −32 768 to 32 767. */
  int16: Int16Array;
  /** Whole numbers of 32 bits with a sign. */
  int32: Int32Array;
  /** Whole numbers of 64 bits with a sign, as bigints. */
  int64: BigInt64Array;
  /** 0 to 255. */
  uint8: Uint8Array;
  /** 0 to 65 535. */
  uint16: Uint16Array;
  /** Whole numbers of 32 bits without a sign. */
  uint32: Uint32Array;
  /** Whole numbers of 64 bits without a sign, as bigints. */
  uint64: BigUint64Array;
  /** Each 0 or 1. */
  bool: Uint8Array;
}

/** `Float16Array` where TypeScript knows it. */
export type Float16Elements = Uint16Array | (typeof globalThis extends { Float16Array: { prototype: infer T } } ? T : never);

/** Where a tensor's elements are. */
export type TensorLocation = 'cpu' | 'gpu';

/** What a picture is read from. An `<img>` must have loaded, a `<video>` must have a frame, and the page must be allowed to read it. */
export type ImageSource =
  | ImageData
  | ImageBitmap
  | VideoFrame
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  /** An encoded picture, also a File; it is decoded, and turned as its EXIF says. */
  | Blob;

/** The order of a picture's channels; `gray` is the luma of BT.601. */
export type ImageChannels = 'rgb' | 'bgr' | 'rgba' | 'gray';

/** How a picture lies in a tensor. */
export interface ImageForm {
  /** [batch, channels, height, width] (the default) or [batch, height, width, channels]. */
  layout?: 'nchw' | 'nhwc';
  /** Of values from 0 to 1: an element of a float type is (value − mean) ÷ std. One for all channels, or one for each in their order. Default 0. */
  mean?: number | readonly number[];
  /** Default 1; never 0. */
  std?: number | readonly number[];
}

/** Options of `Tensor.fromImage`. */
export interface FromImageOptions extends ImageForm {
  /** Default `'rgb'`. */
  channels?: ImageChannels;
  /** [height, width] of the result in pixels; default: those of the picture, or of the crop. */
  size?: readonly [number, number];
  /**
   * Part of the picture to take, in its pixels: `width` by `height` from (`x`, `y`). It may reach beyond the picture, where `background` is.
   * Default: all of it.
   */
  crop?: { x: number; y: number; width: number; height: number };
  /** Where the sides' ratio differs: `'stretch'` (the default), all of it in the middle of `background`, or the middle of it everywhere. */
  fit?: 'stretch' | 'contain' | 'cover';
  /** What shows through transparent pixels, and where the picture does not reach: red, green, blue from 0 to 255, or one for all. Default 0. */
  background?: number | readonly number[];
  /** Of a float type 0 to 1 before mean and std (default `'float32'`); of a whole one 0 to 255, and without mean and std. */
  dtype?: 'float32' | 'float64' | 'float16' | 'uint8' | 'int32';
  /**
   * Where the first lane of this pool is a GPU, a picture of float32 goes there without its pixels coming to the processor, and the tensor
   * stays there: feed it to the pool's sessions, and `dispose` of it. Elsewhere (other types, a pool in a worker, a picture larger than a
   * texture, a source that the browser cannot copy) the tensor is as without it.
   */
  pool?: Pool;
}

/** Options of `tensor.toImageData`. */
export interface ToImageOptions extends ImageForm {
  /** Default: by their number: 1 is `gray`, 3 `rgb`, 4 `rgba`. */
  channels?: ImageChannels;
  /** Which of a batch; default 0. */
  index?: number;
}

/** Sound: `channels` of equal length, −1 to 1, and its `rate`, in samples a second. */
export type AudioSource = AudioBuffer | { channels: readonly Float32Array[]; rate: number };

/** Options of `Tensor.fromAudio`. */
export interface FromAudioOptions {
  /** Samples a second of the result, a whole number from 1000 to 768000; default: those of the source. */
  rate?: number;
  /** Whether channels become one, their mean. Default `true`. */
  mono?: boolean;
}

/** A tensor, row-major: in the page's memory, or on the GPU where a call was asked to leave it there. */
export class Tensor<T extends TensorType = TensorType> {
  /** Throws `ConsortError` of kind `invalid-input` where `data` does not have exactly the elements of `dims`. */
  constructor(type: T, data: TensorData[T] | readonly number[] | readonly bigint[], dims: readonly number[]);
  /** Type of its elements. */
  readonly type: T;
  /** `'gpu'` where a lane keeps its elements, which only `getData` reads then. */
  readonly location: TensorLocation;
  /** The elements, row-major, `size` of them; throws `invalid-input` where they are on the GPU. */
  readonly data: TensorData[T];
  /** Its shape: elements along each axis, the outermost first; `[]` for a scalar. */
  readonly dims: readonly number[];
  /** Number of elements: the product of `dims`. */
  readonly size: number;
  /**
   * The elements, read back where they are on the GPU. Rejects with `closed` after `dispose` or `pool.close`, and with `device-lost` where
   * their lane was lost.
   */
  getData(): Promise<TensorData[T]>;
  /**
   * A picture as a tensor of one, [1, channels, height, width] unless options say otherwise: in sRGB, the same elements in every browser but
   * for what decoding differs in, and in workers too. A smaller size is an average of the pixels, a larger one linear between them. `dtype` is
   * the element type, as in its options. Rejects with `invalid-input` for what is no picture, has not loaded, is empty or closed, is not for
   * the page to read, and for options that make no sense.
   */
  static fromImage<T extends NonNullable<FromImageOptions['dtype']> = 'float32'>(source: ImageSource, options?: FromImageOptions & { dtype?: T }): Promise<Tensor<T>>;
  /**
   * A sound as a tensor of float32: [1, samples], or [channels, samples] where `mono` is false. Another rate is made by a windowed sinc:
   * up to 0.9 of half of the lower rate it changes amplitudes by less than 0.1 %, and nothing beyond that half comes through by more than
   * −80 dB; before and after the sound there is silence. Works in workers. Rejects with `invalid-input` for what is no sound, and for
   * channels that differ in length, are empty, or have a rate out of bounds.
   */
  static fromAudio(source: AudioSource, options?: FromAudioOptions): Promise<Tensor<'float32'>>;
  /**
   * The picture that [batch, channels, height, width] elements are, or [channels, height, width], the inverse of `fromImage`: floats times std
   * plus mean are 0 to 1, whole types 0 to 255; what lies beyond is cut off. Reads a tensor that is on the GPU, and rejects as `getData` does;
   * with `invalid-input` where dims are not those of a picture.
   */
  toImageData(options?: ToImageOptions): Promise<ImageData>;
  /**
   * The same as a data URL: of `type` where the browser writes it (default `image/png`), with `quality` from 0 to 1 where that loses
   * something. Rejects as `toImageData` does.
   */
  toDataURL(options?: ToImageOptions & { type?: string; quality?: number }): Promise<string>;
  /** Gives the GPU's bytes back at once; a tensor that is dropped gives them back when it is collected. */
  dispose(): void;
}

/** Tensors by name. */
export type Tensors = Record<string, Tensor>;
