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
  try {
    make();
  } finally {
    globalThis.Worker = Worker;
  }
  const [url, options] = args;
  return { url: new URL(url, location.href), options };
}

/** Whether the browser starts a worker of that address itself. */
const near = ({ origin, protocol }) => origin === location.origin || protocol === 'blob:' || protocol === 'data:';

/** A worker that imports the script, and then does what `after` says. */
function imported({ url, options }, after = '') {
  const quoted = JSON.stringify(url.href);
  const text = options?.type === 'module' ? `import ${quoted}; ${after}` : `importScripts(${quoted}); ${after}`;
  const script = URL.createObjectURL(new Blob([text], { type: 'text/javascript' }));
  try {
    return { worker: new Worker(script, options), script };
  } catch (error) {
    URL.revokeObjectURL(script);
    throw error;
  }
}

/** The worker that `make` makes, whatever origin its script is of. */
export function worker(make) {
  const asked = given(make);
  // The small script stays for as long as the page: nobody tells when a worker has read it.
  return near(asked.url) ? make() : imported(asked).worker;
}

/** Scripts of another origin that were tried, by their address: whether they began. */
const tried = new Map();

/** Whether this page can have the worker that `make` makes: there is none without Worker, and a policy may forbid to import it. */
export async function workable(make) {
  if (!globalThis.Worker) return false;
  const asked = given(make);
  const { href } = asked.url;
  if (near(asked.url)) return true;
  if (!tried.has(href)) tried.set(href, begins(asked));
  return tried.get(href);
}

function begins(asked) {
  return new Promise((resolve) => {
    let probe;
    const end = (able) => {
      probe?.worker.terminate();
      if (probe) URL.revokeObjectURL(probe.script);
      resolve(able);
    };
    try {
      probe = imported(asked, 'postMessage(0);');
    } catch {
      return end(false);
    }
    probe.worker.onmessage = () => end(true);
    probe.worker.onerror = (event) => {
      event.preventDefault?.();
      end(false);
    };
  });
}
