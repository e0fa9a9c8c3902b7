// What a browser can do on its machine, and how fast its lanes are.

import type { Lane } from './lanes.js';

/** Something that a browser may have: `available`, and what it is like; or not, and the `reason`, in words, why it is not here. */
export type Found<T = object> = ({ readonly available: true } & Readonly<T>) | { readonly available: false; readonly reason: string };

/** An adapter or a device: what it calls itself, and what it has. */
export interface DeviceInfo {
  /** As `nvidia`; `''` where the browser keeps it to itself, and on lanes other than `gpu`. */
  vendor: string;
  /** As `turing`; `''` as above. */
  architecture: string;
  /** The vendor's own name of it; `''` as above. */
  device: string;
  /** Name for people; of a processor with the number of its threads; `''` where the browser keeps it to itself. */
  description: string;
  /** Whether it computes in software, by its own word. */
  isFallbackAdapter: boolean;
  /** Names, as WebGPU has them, of what an adapter offers, sorted, or of what is in use of a device. */
  features: readonly string[];
  /** By WebGPU's names and in its units: the most that an adapter offers, or those of a device that matter to its lane; empty on lanes other than `gpu`. */
  limits: Readonly<Record<string, number>>;
}

/** An adapter of WebGPU. */
export interface Adapter extends DeviceInfo {
  /** Threads of a subgroup, at least; absent where the browser does not say. */
  subgroupMinSize?: number;
  /** Threads of a subgroup, at most; absent where the browser does not say. */
  subgroupMaxSize?: number;
}

/** The device of a pool's lane. */
export interface LaneDevice extends DeviceInfo {
  /** The lane that it is of. */
  lane: Lane;
  /** Name of this combination of device, features and limits. */
  fingerprint: string;
}

/** A WebNN context of one kind of device. */
export interface WebNNContext {
  /** Operators that it takes, with the data types of each operand that the browser lists (`opSupportLimits`). */
  operators: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  /** `'nchw'` or `'nhwc'`; absent where it does not say. */
  preferredInputLayout?: string;
  /** The most bytes of a tensor; absent where it does not say. */
  maxTensorBytes?: number;
  /** Whether an MLTensor that was written read back the same. */
  tensor: Found;
  /** Whether it has what shares a tensor with WebGPU; not tried, since in a browser where that fails the page loses every GPU device. */
  exportToGpu: boolean;
  /** Whether the context tells of its loss. */
  lost: boolean;
}

/** What this browser can do on this machine, found out by trying; nothing is taken from its name. */
export interface Capabilities {
  /** The adapter that WebGPU gives for speed: `features` and `limits` are what a device of it may be asked for. */
  readonly webgpu: Found<Adapter>;
  /** The GPU's clock: `resolutionNs` is what all differences between timestamps were a multiple of, in nanoseconds. */
  readonly timestamps: Found<{ resolutionNs: number }>;
  /** WebNN's contexts by the device that they were asked for: `cpu`, the processor, `gpu`, and `npu`, a neural processor. */
  readonly webnn: Found<{ cpu: Found<WebNNContext>; gpu: Found<WebNNContext>; npu: Found<WebNNContext> }>;
  /**
   * Proposals that WebAssembly takes here: 128-bit SIMD (`simd`), `relaxedSimd`, shared memory and atomics (`threads`), and memories above 4
   * GiB (`memory64`).
   */
  readonly wasm: { readonly simd: boolean; readonly relaxedSimd: boolean; readonly threads: boolean; readonly memory64: boolean };
  /** What the page may use of the machine. */
  readonly system: {
    /** Whether the page is cross-origin isolated: only then may threads share memory. */
    readonly crossOriginIsolated: boolean;
    /** Whether there is a SharedArrayBuffer. */
    readonly sharedMemory: boolean;
    /** Logical processors, as the browser tells them; absent where it does not. */
    readonly cores?: number;
    /** Memory of the machine in GiB, as the browser rounds it; absent where it does not tell. */
    readonly deviceMemoryGib?: number;
  };
  /** What the page may store: `quotaBytes` in all, of which `usageBytes` are in use. */
  readonly storage: Found<{ quotaBytes: number; usageBytes: number }>;
  /** PressureObserver, with the `sources` that it tells of, such as `cpu`. */
  readonly pressure: Found<{ sources: readonly string[] }>;
  /** Name of this combination of browser and machine: the same as long as what it can do is the same. */
  readonly fingerprint: string;
  /** How long finding this out took, in milliseconds. */
  readonly detectMs: number;
}

/** Finds out what this browser can do. */
export const Capabilities: {
  /**
   * Asks anew, without a pool and with or without WebGPU. A probe that fails or takes more than 3 s says so in its answer; it rejects only
   * with `fetch`, where the wasm file cannot be had.
   */
  detect(): Promise<Capabilities>;
};

/** What a pool's lanes run on, and what its browser can do. */
export interface PoolCapabilities extends Capabilities {
  /** Lanes of the pool, the preferred first. */
  readonly lanes: readonly Lane[];
  /** The device of each: `features` and `limits` are those in use. */
  readonly devices: readonly LaneDevice[];
}

/** The ceilings of a lane and the waits of the browser, measured by `Pool.create`. */
export interface Profile {
  /** The lane that it is of. */
  lane: Lane;
  /** Name of its combination of device, features and limits, as in `capabilities.devices`. */
  fingerprint: string;
  /** Operations on float32 in units of 10⁹ a second; a multiply-add counts as two. */
  gflops: number;
  /** Bytes that a copy kernel reads and writes, in GB (10⁹ bytes) a second. */
  bandwidthGBps: number;
  /** One empty dispatch, in microseconds. */
  dispatchUs: number;
  /** One submit beyond the first, in microseconds. */
  submitUs: number;
  /** From submit to a mapped 4-byte buffer, in milliseconds. */
  readbackMs: number;
  /** How fast inputs go to the lane, in GB (10⁹ bytes) a second. */
  uploadGBps: number;
  /** How fast outputs come back, in GB (10⁹ bytes) a second. */
  readbackGBps: number;
  /** Whether this browser resolves a map sooner when empty submits follow it. */
  nudge: boolean;
  /** How long measuring these took, in milliseconds. */
  probeMs: number;
}
