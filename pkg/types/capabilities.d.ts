// What a browser can do on its machine, and how fast its lanes are.

import type { Lane } from './lanes.js';

/** Something that a browser may have: what it is like, or why it is not here. */
export type Found<T = object> = ({ readonly available: true } & Readonly<T>) | { readonly available: false; readonly reason: string };

/** A WebNN context of one kind of device. */
export interface WebNNContext {
  /** Operators that it takes, with the data types of each operand that the browser lists (`opSupportLimits`). */
  operators: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  preferredInputLayout?: string;
  /** The most bytes of a tensor. */
  maxTensorBytes?: number;
  /** An MLTensor that was written read back the same. */
  tensor: Found;
  /** It has what shares a tensor with WebGPU; not tried, since in a browser where that fails the page loses every GPU device. */
  exportToGpu: boolean;
  /** The context tells of its loss. */
  lost: boolean;
}

/** What this browser can do on this machine, found out by trying; nothing is taken from its name. */
export interface Capabilities {
  /** The adapter that WebGPU gives for speed: `features` and `limits` are what a device of it may be asked for. */
  readonly webgpu: Found<{
    vendor: string;
    architecture: string;
    device: string;
    description: string;
    isFallbackAdapter: boolean;
    features: readonly string[];
    limits: Readonly<Record<string, number>>;
    /** Threads of a subgroup, at least and at most. */
    subgroupMinSize?: number;
    subgroupMaxSize?: number;
  }>;
  /** The GPU's clock: what all differences between timestamps were a multiple of, in nanoseconds. */
  readonly timestamps: Found<{ resolutionNs: number }>;
  readonly webnn: Found<{ cpu: Found<WebNNContext>; gpu: Found<WebNNContext>; npu: Found<WebNNContext> }>;
  /** Proposals that WebAssembly takes here. */
  readonly wasm: { readonly simd: boolean; readonly relaxedSimd: boolean; readonly threads: boolean; readonly memory64: boolean };
  readonly system: {
    readonly crossOriginIsolated: boolean;
    /** There is a SharedArrayBuffer. */
    readonly sharedMemory: boolean;
    /** Logical processors, as the browser tells them. */
    readonly cores?: number;
    /** Memory of the machine in GiB, as the browser rounds it. */
    readonly deviceMemoryGib?: number;
  };
  readonly storage: Found<{ quotaBytes: number; usageBytes: number }>;
  /** PressureObserver, with what it tells of. */
  readonly pressure: Found<{ sources: readonly string[] }>;
  /** Name of this combination of browser and machine: the same as long as what it can do is the same. */
  readonly fingerprint: string;
  /** How long finding this out took, in milliseconds. */
  readonly detectMs: number;
}

/** Finds out what this browser can do. */
export const Capabilities: {
  /** Asks anew, without a pool and with or without WebGPU. A probe that fails or takes more than 3 s says so in its answer. */
  detect(): Promise<Capabilities>;
};

/** What a pool's lanes run on, and what its browser can do. */
export interface PoolCapabilities extends Capabilities {
  /** Lanes of the pool, the preferred first. */
  readonly lanes: readonly Lane[];
  /** The device of each: `features` and `limits` are those in use. */
  readonly devices: readonly {
    lane: Lane;
    /** Name of this combination of device, features and limits. */
    fingerprint: string;
    vendor: string;
    architecture: string;
    device: string;
    description: string;
    isFallbackAdapter: boolean;
    features: readonly string[];
    limits: Readonly<Record<string, number>>;
  }[];
}

/** The ceilings of a lane and the waits of the browser, measured by `Pool.create`. */
export interface Profile {
  lane: Lane;
  fingerprint: string;
  /** Multiply-adds count as two operations. */
  gflops: number;
  /** Bytes that a copy kernel reads and writes, in GB per second. */
  bandwidthGBps: number;
  dispatchUs: number;
  submitUs: number;
  /** From submit to a mapped 4-byte buffer. */
  readbackMs: number;
  uploadGBps: number;
  readbackGBps: number;
  /** Whether this browser resolves a map sooner when empty submits follow it. */
  nudge: boolean;
  /** How long measuring these took, in milliseconds. */
  probeMs: number;
}
