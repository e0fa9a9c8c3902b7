// What is wrong with the page as it is now, in the scheme of colours that is asked for: faults that axe calls serious or critical. The
// style sheet knows both schemes by `color-scheme` alone, so that one page can be judged in both.
const [scheme, done] = arguments;
document.documentElement.style.colorScheme = scheme;
const told = ({ target, any, all, none }) => `${target.join(' ')} (${[...any, ...all, ...none].map(({ message }) => message).join('; ')})`;
axe.run(document, { resultTypes: ['violations'] }).then(
  ({ violations }) => {
    const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    done(grave.map(({ id, impact, nodes }) => `${scheme}: ${id}, ${impact}: ${nodes.slice(0, 3).map(told).join(', ')}`));
  },
  (error) => done([`axe failed: ${error.stack}`]),
);
