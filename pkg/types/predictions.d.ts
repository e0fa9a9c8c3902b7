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
  startMs: number;
  endMs: number;
}

/** What one strategy is expected to cost. */
export interface StrategyPrediction {
  strategy: Strategy;
  predictedMs: number;
  /** 90 % of measurements are expected in here. */
  intervalMs: readonly [number, number];
  /** Requests per second when the same set is run again and again. */
  predictedThroughput: number;
  /** Bytes of the lanes: weights, arenas, parameters and staging that the execution needs. */
  predictedBytes: number;
  timeline: readonly Span[];
}

/** What `pool.predict` returns. */
export interface Prediction {
  /** That of the strategies of one lane. */
  lane: Lane;
  /** `'split'` is among them where several lanes or processors can share the set. */
  strategies: readonly StrategyPrediction[];
  recommended: Strategy;
  /** Why, in words and numbers. */
  reason: string;
}

/** One strategy, predicted and measured. */
export interface StrategyComparison extends StrategyPrediction {
  /** Median of the repeats. */
  measuredMs: number;
  /** Lower and upper quartile of the repeats. */
  spreadMs: readonly [number, number];
  /** The allocator's own count of what the execution held. */
  measuredBytes: number;
  measuredTimeline: readonly Span[];
}

/** What `pool.compare` returns. */
export interface Comparison {
  lane: Lane;
  strategies: readonly StrategyComparison[];
  recommended: Strategy;
  measuredBest: Strategy;
  /** Measured time of the recommended strategy over that of the best, less one. */
  regret: number;
  repeats: number;
}
