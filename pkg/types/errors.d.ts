// What can go wrong.

/** Stable names of what can go wrong. */
export type ErrorKind =
  /** The bytes are not a valid ONNX model. */
  | 'invalid-model'
  /** No lane takes it: an operator, attribute, type or shape of the model; or what was asked for this browser cannot do. */
  | 'unsupported'
  /** A feed is missing, unknown, or has the wrong type or shape; or an option makes no sense. */
  | 'invalid-input'
  /** External data that the model names was not given, cannot be had, or is too short. */
  | 'missing-data'
  /** A file could not be fetched, or is not what its server says. */
  | 'fetch'
  /** A file is not the one whose digest was stated. */
  | 'integrity'
  /** WebGPU gives no adapter or no device here. */
  | 'no-webgpu'
  /** A lane, or the pool's worker, was lost, and nothing else answered; nothing of the call was returned. */
  | 'device-lost'
  /** The lane has no memory left for this, or `memoryBudget` forbids it. */
  | 'out-of-memory'
  /** The caller's `AbortSignal` fired. */
  | 'aborted'
  /** The answer cannot be there within `deadlineMs`. */
  | 'deadline'
  /** As many calls as `maxPending` allows have no answer yet. */
  | 'busy'
  /** The pool was closed, the session released, or the tensor disposed of. */
  | 'closed'
  /** A fault of Consort itself. */
  | 'internal';

/** Every error that Consort throws or rejects with. */
export class ConsortError extends Error {
  /** Tells it from other errors where `instanceof` does not, as where the package is there twice. */
  readonly name: 'ConsortError';
  /** What went wrong, the same word in every release; `message` says it to people. */
  readonly kind: ErrorKind;
  /** The model it belongs to, where one is known. */
  readonly model?: string;
  /** The graph node it belongs to, where one is known. */
  readonly node?: string;
}
