// How the machine is, as far as a page may know: whether it is seen, how hard the processor is pressed, whether it lives on its battery.

const PRESSURES = ['nominal', 'fair', 'serious', 'critical'];

/**
 * Tells `listener` now, and whenever it changes, until the function that it returns is called: `{hidden, pressure, onBattery}`, the
 * pressure as an index of `PRESSURES`. What the browser does not tell is left out.
 */
export function watch(listener) {
  const machine = { hidden: globalThis.document?.visibilityState === 'hidden' };
  const undo = [];
  let over = false;
  const tell = () => over || listener({ ...machine });
  const listen = (target, type, changed) => {
    target.addEventListener(type, changed);
    undo.push(() => target.removeEventListener(type, changed));
  };

  if (globalThis.document) {
    listen(document, 'visibilitychange', () => {
      machine.hidden = document.visibilityState === 'hidden';
      tell();
    });
  }
  if (globalThis.PressureObserver?.knownSources?.includes('cpu')) {
    const observer = new PressureObserver((records) => {
      machine.pressure = PRESSURES.indexOf(records.at(-1).state);
      tell();
    });
    // A page that may not ask is one that does not know.
    observer.observe('cpu', { sampleInterval: 1000 }).catch(() => {});
    undo.push(() => observer.disconnect());
  }
  navigator.getBattery?.().then((battery) => {
    const charging = () => {
      machine.onBattery = !battery.charging;
      tell();
    };
    if (over) return;
    listen(battery, 'chargingchange', charging);
    charging();
  }, () => {});
  tell();
  return () => {
    over = true;
    undo.forEach((end) => end());
  };
}
