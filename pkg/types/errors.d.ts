// What can go wrong.

/** Stable names of what can go wrong. */
export type ErrorKind =
  | 'invalid-model'
  | 'unsupported'
  | 'invalid-input'
  | 'missing-data'
  | 'fetch'
  | 'integrity'
  | 'no-webgpu'
  | 'device-lost'
  | 'out-of-memory'
  | 'aborted'
  | 'deadline'
  | 'busy'
  | 'closed'
  | 'internal';

/** Every error that Consort throws or rejects with. */
export class ConsortError extends Error {
  readonly name: 'ConsortError';
  readonly kind: ErrorKind;
  /** The model it belongs to, where one is known. */
  readonly model?: string;
  /** The graph node it belongs to, where one is known. */
  readonly node?: string;
}
