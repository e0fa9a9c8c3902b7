// Numbers with their units, as the page writes them. Knows how people read them; must never know what they are of.

/** A number stays with its unit. */
export const unit = (number, name) => `${number}\u00a0${name}`;

/** Milliseconds to two digits or to whole ones, a second and more to hundredths. */
export const ms = (x) => (x >= 1000 ? unit((x / 1000).toFixed(2), 's') : unit(x.toFixed(x >= 9.95 ? 0 : x >= 0.995 ? 1 : 2), 'ms'));

/** Bytes. */
export const mb = (x) => (x > 0 && x < 1e5 ? unit((x / 1e3).toFixed(1), 'kB') : unit((x / 1e6).toFixed(1), 'MB'));
