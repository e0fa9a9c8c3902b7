// What the page told of itself so far: complaints, what it could not fetch, how much moved by itself, and whether it is wider than its window.
const lost = performance.getEntriesByType('resource').filter(({ responseStatus }) => responseStatus >= 400);
const { scrollWidth } = document.documentElement;
return {
  complaints: [
    ...driven.complaints,
    ...(driven.error ? [driven.error] : []),
    ...lost.map(({ name, responseStatus }) => `status ${responseStatus}: ${name}`),
    ...(scrollWidth > innerWidth ? [`${scrollWidth} pixels wide in a window of ${innerWidth}`] : []),
  ],
  moved: driven.moved,
};
