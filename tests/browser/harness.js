// A handful of test functions: each test is timed, all run in order, a failed one does not stop the rest. What a test
// returns is said beside its name; a long one says how far it is, so that it is not taken for a hang.

const tests = [];

export function test(name, body) {
  tests.push({ name, body });
}

export function assert(truth, message) {
  if (!truth) throw new Error(message);
}

export function equal(a, b, message = 'values differ') {
  const [left, right] = [a, b].map((v) => JSON.stringify(v));
  assert(left === right, `${message}: ${left} is not ${right}`);
}

/** What the page was warned of since it began: of some things it is told once, whichever test comes first. */
export const warnings = [];
const { warn } = console;
console.warn = (...words) => {
  warnings.push(words.join(' '));
  warn.apply(console, words);
};

/** Runs `work`, which must fail with a ConsortError of `kind` whose message has every one of `parts`. */
export async function fails(kind, parts, work) {
  let error;
  try {
    await work();
  } catch (caught) {
    error = caught;
  }
  assert(error, `nothing failed where ${kind} was expected`);
  assert(error.name === 'ConsortError' && error.kind === kind, `${kind} was expected, not ${error.kind}: ${error.stack}`);
  for (const part of parts) assert(error.message.includes(part), `'${part}' is not in: ${error.message}`);
  return error;
}

/** Runs `work` with a list that has every worker that the page makes meanwhile, each of which `made` is shown. */
export async function withWorkers(work, made = () => {}) {
  const { Worker } = globalThis;
  const workers = [];
  globalThis.Worker = class extends Worker {
    constructor(...given) {
      super(...given);
      workers.push(this);
      made(this);
    }
  };
  try {
    return await work(workers);
  } finally {
    globalThis.Worker = Worker;
  }
}

export async function runAll(say) {
  const failed = [];
  for (const { name, body } of tests) {
    const start = performance.now();
    try {
      const told = await body(say);
      say(`  ok    ${name}${told ? `: ${told}` : ''} (${Math.round(performance.now() - start)} ms)`);
    } catch (error) {
      failed.push(`${name}: ${error.message}`); // The end of a long output has to say why.
      say(`  FAIL  ${name}: ${error.message}\n${error.stack}`);
    }
  }
  return { passed: tests.length - failed.length, failed };
}
