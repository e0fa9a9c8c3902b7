// Ways to run a set of models: what each is expected to cost, and what it took.

import type { Lane } from './lanes.js';

/**
 * How a set of requests is executed: one after another, their dispatches interleaved, split over several lanes or processors that
 * run at once, or batched into fewer calls: requests of one session as rows of one, and what the models of several sessions have in
 * common (weights and nodes, where they are fed the same) computed once. `'batched'` is predicted and compared where the requests
 * have something in common or are short; without their feeds, inputs of different sessions that agree in name, type and shape are
 * taken to be the same.
 */
export type Strategy = 'sequential' | 'parallel' | 'split' | 'batched';

/** What a plan is chosen for. */
export type Goal = 'latency' | 'throughput' | 'memory';

/** One stretch of work in a timeline. */
export interface Span {
  /** `host`: recording and submitting; `upload`; `gpu`: dispatches; `readback`: the map of the outputs. */
  kind: 'host' | 'upload' | 'gpu' | 'readback';
  /** Name of the model, or `''` where it belongs to all. */
  model: string;
  /** Where, as `'gpu'` or `'cpu 2'` in the timeline of a split set, or `'thread 2'` where threads run programs side by side. */
  place?: string;
  /** When it begins, in milliseconds since the execution did. */
  startMs: number;
  /** When it ends, by the same clock. */
  endMs: number;
}

/** What one strategy is expected to cost. */
export interface StrategyPrediction {
  /** The way that this is of. */
  strategy: Strategy;
  /** Milliseconds until all outputs are there. */
  predictedMs: number;
  /** [lower, upper] in milliseconds: 90 % of measurements are expected in here. */
  intervalMs: readonly [number, number];
  /** Requests per second when the same set is run again and again. */
  predictedThroughput: number;
  /** Bytes of the lanes: weights, arenas, parameters and staging that the execution needs. */
  predictedBytes: number;
  /** What happens when, as forecast. */
  timeline: readonly Span[];
}

/** What `pool.predict` returns. */
export interface Prediction {
  /** That of the strategies of one lane. */
  lane: Lane;
  /** `'split'` is among them where several lanes or processors can share the set. */
  strategies: readonly StrategyPrediction[];
  /** The best of them for the goal that is within `memoryBudget`; where none is, the one of fewest bytes. */
  recommended: Strategy;
  /** Why, in words and numbers. */
  reason: string;
}

/** One strategy, predicted and measured. */
export interface StrategyComparison extends StrategyPrediction {
  /** Median of the repeats, in milliseconds. */
  measuredMs: number;
  /** Lower and upper quartile of the repeats, in milliseconds. */
  spreadMs: readonly [number, number];
  /** Bytes that the execution held, by the allocator's own count, in the median repeat. */
  measuredBytes: number;
  /** What happened when, in the median repeat, as far as a page can see. */
  measuredTimeline: readonly Span[];
}

/** Options of `pool.compare`. */
export interface CompareOptions {
  /** How often each strategy runs, the warm-up not counted: 1 to 100, default 5. */
  repeats?: number;
  /** What is best; default: the pool's. */
  goal?: Goal;
  /** Told after each round what the rounds so far say, `repeats` of them; what it throws is ignored. */
  onProgress?: (soFar: Comparison) => void;
  /** Ends it at any moment, with kind `aborted`. */
  signal?: AbortSignal;
}

/** What `pool.compare` returns. */
export interface Comparison {
  /** That of the strategies of one lane. */
  lane: Lane;
  /** Each strategy that the set can run by. */
  strategies: readonly StrategyComparison[];
  /** The one that was chosen for the goal before any ran. */
  recommended: Strategy;
  /** The one that took least time by `measuredMs`; for the goal `memory` that held fewest bytes. */
  measuredBest: Strategy;
  /** Measured time of the recommended strategy over that of the best, less one: 0.1 is 10 % more. */
  regret: number;
  /** How often each ran, the warm-up not counted; to `onProgress`, so far. */
  repeats: number;
}
