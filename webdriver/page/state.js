// What the page told of itself so far: complaints, what it could not fetch, how much moved by itself, whether it is wider than its window,
// and text that lies beyond an edge of the window or of what holds it.
const lost = performance.getEntriesByType('resource').filter(({ responseStatus }) => responseStatus >= 400);
const { scrollWidth } = document.documentElement;
const cut = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (const range = document.createRange(); texts.nextNode(); ) {
  const { currentNode: node, currentNode: { parentElement: holder } } = texts;
  // What is there for readers of screens only is one pixel large.
  const seen = (element) => element.checkVisibility() && getComputedStyle(element).clipPath === 'none' && getComputedStyle(element).opacity !== '0';
  const ancestors = [];
  for (let element = holder; element; element = element.parentElement) ancestors.push(element);
  if (!node.data.trim() || !ancestors.every(seen)) continue;
  range.selectNodeContents(node);
  const rects = [...range.getClientRects()].filter(({ width }) => width > 0);
  const edges = ancestors.filter((element) => getComputedStyle(element).overflowX !== 'visible').map((element) => element.getBoundingClientRect());
  edges.push({ left: 0, right: innerWidth });
  const beyond = rects.some(({ left, right }) => edges.some((edge) => left < edge.left - 1 || right > edge.right + 1));
  if (beyond) cut.push(`in a window of ${innerWidth} '${node.data.trim().slice(0, 40)}' is cut off, in ${holder.closest('[id]')?.id}`);
}
return {
  complaints: [
    ...driven.complaints,
    ...(driven.error ? [driven.error] : []),
    ...lost.map(({ name, responseStatus }) => `status ${responseStatus}: ${name}`),
    ...cut.slice(0, 5),
    ...(scrollWidth > innerWidth ? [`${scrollWidth} pixels wide in a window of ${innerWidth}`] : []),
  ],
  moved: driven.moved,
};
