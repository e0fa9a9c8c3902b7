// Makes workers wherever a page may have them. Browsers refuse one whose script is of another origin, as where the package comes from
// a CDN: a small script of this origin imports it then. Knows how a worker begins; must never know what it does.

/**
 * What `make` gives to `new Worker`. Only there stands the script's address as each bundler writes it: they look for
 * `new Worker(new URL('./x.js', import.meta.url), …)`, and a URL outside of that would be another file to them.
 */
function given(make) {
  const { Worker } = globalThis;
  let args;
  // Nobody else sees it: nothing waits in between.
  globalThis.Worker = class {
    constructor(...all) {
      args = all;
    }
  };
  let made;
  try {
    made = make();
  } finally {
    globalThis.Worker = Worker;
  }
  // Whoever made it otherwise knows how.
  if (!args) return void made.terminate();
  const [url, options] = args;
  return { url: new URL(url, location.href), options };
}

/** Whether the browser starts that worker itself. */
function near(asked) {
  if (!asked) return true;
  const { origin, protocol } = asked.url;
  return origin === location.origin || protocol === 'blob:' || protocol === 'data:';
}

/** Small scripts by what they say. They stay for as long as the page: nobody tells when a worker has read one. */
const scripts = new Map();

/** A worker that imports the script, and then does what `after` says. */
function imported({ url, options }, after = '') {
  const quoted = JSON.stringify(url.href);
  const text = options?.type === 'module' ? `import ${quoted}; ${after}` : `importScripts(${quoted}); ${after}`;
  if (!scripts.has(text)) scripts.set(text, URL.createObjectURL(new Blob([text], { type: 'text/javascript' })));
  return new Worker(scripts.get(text), options);
}

/** The worker that `make` makes, whatever origin its script is of. */
export function worker(make) {
  const asked = given(make);
  return near(asked) ? make() : imported(asked);
}

/** Scripts of another origin that were tried, by their address: whether they began. */
const tried = new Map();

/** Whether this page can have the worker that `make` makes: there is none without Worker, and a policy may forbid to import it. */
export async function workable(make) {
  if (!globalThis.Worker) return false;
  const asked = given(make);
  if (near(asked)) return true;
  const { href } = asked.url;
  if (!tried.has(href)) tried.set(href, begins(asked));
  return tried.get(href);
}

function begins(asked) {
  return new Promise((resolve) => {
    let probe;
    const end = (able) => {
      probe?.terminate();
      resolve(able);
    };
    try {
      probe = imported(asked, 'postMessage(0);');
    } catch {
      return end(false);
    }
    probe.onmessage = () => end(true);
    probe.onerror = (event) => {
      event.preventDefault?.();
      end(false);
    };
  });
}
