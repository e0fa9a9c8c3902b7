// What a pool holds, and what went to the GPU and came back.

import type { Lane } from './lanes.js';

/** Bytes by what they are for. */
export interface HeldBytes {
  weights: number;
  arenas: number;
  staging: number;
  parameters: number;
  /** Tensors that the page keeps. */
  tensors: number;
  total: number;
  /** Most that was ever held at one time; of several lanes, that of each added up. */
  highWater: number;
  /** Lower bound of `arenas` for these sessions one after another: most activation bytes alive at one time. */
  liveBytes: number;
}

/** What one lane holds. */
export interface LaneMemory extends HeldBytes {
  lane: Lane;
}

/** The pool's memory on all lanes. */
export interface MemoryReport extends HeldBytes {
  lanes: readonly LaneMemory[];
  sessions: readonly {
    name: string;
    lane: Lane;
    /** Weights that this session uses. */
    weights: number;
    /** Of these, bytes that other sessions use too. */
    sharedWeights: number;
    parameters: number;
    /** Arena that the largest of its programs needs; sessions that follow each other share one. */
    arena: number;
    /** Most bytes of that arena alive at one time: no plan can be smaller. */
    liveBytes: number;
  }[];
}

/** Who lies where in a session's arena, and when. */
export interface MemoryMap {
  lane: Lane;
  arena: number;
  liveBytes: number;
  /** Step 0 is the upload, then one for each dispatch, the last is the download. */
  steps: number;
  tensors: readonly { name: string; offset: number; bytes: number; firstStep: number; lastStep: number }[];
}

/** What crossed between page and GPU since the pool was made. */
export interface TrafficReport {
  executions: number;
  /** Bytes of inputs; weights are not counted. */
  uploadedBytes: number;
  /** Buffers mapped to be read: one for each execution with an output for the page. */
  readbacks: number;
  readBackBytes: number;
}
