// How right forecasts were.

import type { Strategy } from './predictions.js';

/**
 * Mean absolute relative errors (0.1 is 10 %) of what was stated before executions ran; `null` where there are none.
 */
export interface ForecastErrors {
  /** Executions that these are of. */
  count: number;
  /** Of the predicted time, against the measured. */
  time: number | null;
  /** Of the predicted requests per second: of as many, in the predicted time and in the measured. */
  throughput: number | null;
  /** Of the bytes that the lane was forecast to hold, against the allocator's count; of those executions of which that is known. */
  bytes: number | null;
}

/** Error of the predictor on observations that its refit did not see. */
export interface Accuracy {
  /** All observations so far. */
  observations: number;
  /** Those kept away from the refit. */
  heldOut: number;
  /** Mean absolute relative error of the probes-only predictor on the held-out observations; `null` while there are none. */
  errorBefore: number | null;
  /** The same of the refitted predictor. */
  errorAfter: number | null;
  /** Share of held-out measurements inside the interval stated before they ran; `null` while there are none. */
  coverage: number | null;
  /** Errors of the last 10, 20 and 50 observations: of forecasts as they were stated. `count` is less where there are fewer. */
  recent: Readonly<Record<10 | 20 | 50, ForecastErrors>>;
  /**
   * The same of all observations that are kept: `strategies` by strategy, and `models` by the name of a model, each observation under every
   * model in it.
   */
  by: { strategies: Readonly<Partial<Record<Strategy, ForecastErrors>>>; models: Readonly<Record<string, ForecastErrors>> };
  /** Error of time of the last 20 observations over that of the 20 before: below 1 it gets better. `null` while there are fewer than 40. */
  trend: number | null;
  /**
   * Each observation that is not held out refits the predictor, which is judged by what it had stated before the last 16 of them, beside
   * what the probes alone had: where it is no worse it forecasts (`accepted`), where it becomes worse the probes' model does in its place
   * (`rolledBack`), and while it stays worse (`refused`). The first 15 are on trial, and counted nowhere.
   */
  refits: { accepted: number; refused: number; rolledBack: number };
  /**
   * The observations that are kept, in order: what was predicted before each ran, what was measured. At most 4096: of more, every second of
   * the oldest half goes, so that what was long ago stays, more thinly.
   */
  history: readonly {
    /** How it was executed. */
    strategy: Strategy;
    /** Names of its sessions, sorted. */
    models: readonly string[];
    /** Milliseconds that were forecast before it ran. */
    predictedMs: number;
    /** [lower, upper] in milliseconds, stated with that: 90 % of measurements were expected in here. */
    intervalMs: readonly [number, number];
    /** Milliseconds that it took. */
    measuredMs: number;
    /** Whether it was kept away from the refit. */
    heldOut: boolean;
    /** Absolute relative error of that prediction: 0.1 is 10 %. */
    error: number;
    /** Bytes that the lane was forecast to hold for it, and the allocator's count; both 0 where that is not known. */
    bytes: readonly [number, number];
    /** How many times as long everything took just then, as far as was known before it ran: what else the machine does. */
    machine: number;
    /** Whether the page was hidden. */
    hidden: boolean;
    /** How hard the processor was pressed, by the Compute Pressure API; `null` where the browser does not tell. */
    pressure: 'nominal' | 'fair' | 'serious' | 'critical' | null;
    /** Whether the machine lived on its battery; `null` where the browser does not tell. */
    onBattery: boolean | null;
    /** How many other executions of the pool were at work meanwhile, on average. */
    busy: number;
    /** When it began, by `performance.now()`. */
    nowMs: number;
  }[];
}
