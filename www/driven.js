// What a driver reads of this page; errors outside of any promise must not be lost, and what moved by itself is counted.
globalThis.driven = { lines: [], result: null, error: null, complaints: [], moved: 0 };
addEventListener('error', (e) => (driven.error ??= String(e.error?.stack ?? e.message)));
addEventListener('unhandledrejection', (e) => (driven.error ??= String(e.reason?.stack ?? e.reason)));
for (const level of ['error', 'warn']) {
  const said = console[level];
  console[level] = (...parts) => {
    driven.complaints.push(`console.${level}: ${parts.join(' ')}`);
    said.apply(console, parts);
  };
}
if (globalThis.PerformanceObserver?.supportedEntryTypes?.includes('layout-shift')) {
  const add = (list) => list.getEntries().forEach(({ value, hadRecentInput }) => (driven.moved += hadRecentInput ? 0 : value));
  new PerformanceObserver(add).observe({ type: 'layout-shift', buffered: true });
}
