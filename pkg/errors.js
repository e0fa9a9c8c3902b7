// How far off forecasts were, out of a history of them: of late, by strategy and model, and whether that gets better. Knows means; must
// never know how anything is forecast.

const RECENT = [10, 20, 50];
/** Observations whose error is set against that of as many before. */
const TREND = 20;

const mean = (of) => (of.length ? of.reduce((sum, one) => sum + one, 0) / of.length : null);

/** Mean absolute relative errors of `history`. */
function errors(history) {
  return {
    count: history.length,
    time: mean(history.map(({ error }) => error)),
    // As many requests, in the predicted time and in the measured.
    throughput: mean(history.map(({ predictedMs, measuredMs }) => Math.abs(measuredMs / predictedMs - 1))),
    bytes: mean(history.filter(({ bytes }) => bytes[1] > 0).map(({ bytes: [predicted, counted] }) => Math.abs(predicted / counted - 1))),
  };
}

/** The errors of what has each of the names that `named` gives. */
function groups(history, named) {
  const groups = new Map();
  for (const past of history) {
    for (const name of new Set(named(past))) {
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(past);
    }
  }
  return Object.fromEntries(Array.from(groups, ([name, own]) => [name, errors(own)]));
}

/** `accuracy` with what its history says. */
export function explained(accuracy) {
  const { history } = accuracy;
  const [before, last] = [history.slice(-2 * TREND, -TREND), history.slice(-TREND)].map((part) => errors(part).time);
  return {
    ...accuracy,
    recent: Object.fromEntries(RECENT.map((last) => [last, errors(history.slice(-last))])),
    by: { strategies: groups(history, ({ strategy }) => [strategy]), models: groups(history, ({ models }) => models) },
    trend: history.length >= 2 * TREND && before > 0 ? last / before : null,
  };
}
