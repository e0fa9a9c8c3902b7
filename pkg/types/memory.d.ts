// What a pool holds, and what went to the GPU and came back.

import type { Lane } from './lanes.js';

/** Bytes by what they are for. */
export interface HeldBytes {
  /** Weights of all sessions, on each lane each content once. */
  weights: number;
  /** Arenas, where what a model computes on the way lies. */
  arenas: number;
  /** What inputs and outputs pass through between page and lane. */
  staging: number;
  /** Parameters of compiled kernels. */
  parameters: number;
  /** Tensors that the page keeps. */
  tensors: number;
  /** Sum of the five above. */
  total: number;
  /** Most that was ever held at one time; of several lanes, that of each added up. */
  highWater: number;
  /** Lower bound of `arenas` for these sessions one after another: most activation bytes alive at one time. */
  liveBytes: number;
}

/** What one lane holds. */
export interface LaneMemory extends HeldBytes {
  /** Which; its processors are counted together. */
  lane: Lane;
}

/** The pool's memory on all lanes. */
export interface MemoryReport extends HeldBytes {
  /** The same by lane, the preferred first. */
  lanes: readonly LaneMemory[];
  /** What each session takes, in bytes; what they share is counted for each of them. */
  sessions: readonly {
    /** Name of the session. */
    name: string;
    /** Where its next call runs. */
    lane: Lane;
    /** Weights that it uses, on all lanes where it lives. */
    weights: number;
    /** Of these, bytes that other sessions use too. */
    sharedWeights: number;
    /** Kernel parameters of its programs. */
    parameters: number;
    /** Arena that the largest of its programs needs; sessions that follow each other share one. */
    arena: number;
    /** Most bytes of that arena alive at one time: no plan can be smaller. */
    liveBytes: number;
  }[];
}

/** Who lies where in a session's arena, and when. */
export interface MemoryMap {
  /** The lane that the arena is on. */
  lane: Lane;
  /** Bytes of the arena. */
  arena: number;
  /** Most bytes of it alive at one time: no plan can be smaller. */
  liveBytes: number;
  /** How many steps there are: 0 is the upload, then one for each dispatch, the last is the download. */
  steps: number;
  /**
   * What lies there: its `name` in the model, `''` for what a node hands on within itself; `offset` and length, `bytes`, in bytes; `firstStep`
   * writes it, `lastStep` is the last that reads it.
   */
  tensors: readonly { name: string; offset: number; bytes: number; firstStep: number; lastStep: number }[];
}

/** What crossed between page and GPU since the pool was made. */
export interface TrafficReport {
  /** Executions so far: calls that ran together are one, a set over several lanes is one on each. */
  executions: number;
  /** Bytes of inputs; weights are not counted. */
  uploadedBytes: number;
  /** Buffers mapped to be read: one for each execution with an output for the page. */
  readbacks: number;
  /** Bytes of outputs that came back. */
  readBackBytes: number;
}
