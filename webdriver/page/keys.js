// A walk by the keyboard: what is to be reached, where it is after each key, and what is wrong with the whole of it.
const [what] = arguments;
const name = (element) => `${element.localName}${element.id && `#${element.id}`} '${(element.ariaLabel ?? element.textContent).trim().slice(0, 30)}'`;
/** Whether somebody sees that it is there: by itself, or by the label in its stead. */
const marked = (element) =>
  [element, element.nextElementSibling].some((of) => of && getComputedStyle(of).outlineStyle !== 'none' && parseFloat(getComputedStyle(of).outlineWidth) > 0);

if (what === 'begin') {
  const takes = document.querySelectorAll('a[href], button, input, select, textarea, summary, audio[controls], [tabindex]');
  // Of radio buttons one stands for all.
  const stops = [...takes].filter((element) => element.tabIndex >= 0 && !element.disabled && element.checkVisibility() && (element.type !== 'radio' || element.checked));
  window.walk = { stops, reached: [], unseen: [] };
  return stops.length;
}
const { stops, reached, unseen } = window.walk;
const at = document.activeElement;
if (what === 'at') {
  if (at !== document.body && at !== reached.at(-1)) {
    if (!marked(at) && at.localName !== 'audio') unseen.push(at);
    reached.push(at);
  }
  // It begins anew, or left the page.
  return reached.length >= stops.length && (at === document.body || at === reached[0] && reached.length > 1);
}
const order = reached.map((element) => stops.indexOf(element)).filter((place) => place >= 0);
const first = order.slice(0, new Set(order).size);
return [
  ...stops.filter((element) => !reached.includes(element)).map((element) => `the keyboard does not reach ${name(element)}`),
  ...first.flatMap((place, i) => (i > 0 && place < first[i - 1] ? [`the keyboard reaches ${name(stops[place])} after ${name(stops[first[i - 1]])}`] : [])),
  ...unseen.map((element) => `nobody sees that the keyboard is at ${name(element)}`),
];
