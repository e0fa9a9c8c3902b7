// Parts of a drawing. Knows SVG; must never know what is drawn.

/** An element of SVG. */
export const shape = (tag, attributes, text) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

/** A place in it. */
export const fixed = (n) => n.toFixed(1);
