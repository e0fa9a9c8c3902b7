//! Whether a program is better left to one thread: where it is over soon, waking the others costs more than they give. Knows
//! times; must never know what is computed.

/// A program that takes longer is always shared out.
const SHORT_MS: f64 = 2.0;
/// Calls that are made in turns at first, and how often the way that seems slower is tried later.
const TURNS: u32 = 12;
const AGAIN: u32 = 32;
/// What a time grows by whenever its way was taken: a lucky one is not remembered for ever.
const FORGETS: f64 = 1.02;

/// How long a program took by one thread, and by all.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    alone_ms: f64,
    together_ms: f64,
    calls: u32,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { alone_ms: f64::INFINITY, together_ms: f64::INFINITY, calls: 0 }
    }
}

impl Pace {
    /// How many threads its next call is for, of so many.
    pub fn threads(&self, all: usize) -> usize {
        let long = self.together_ms.is_finite() && self.together_ms > SHORT_MS;
        let better = self.alone_ms < self.together_ms;
        let alone = match self.calls {
            calls if calls < TURNS => calls % 2 == 1,
            calls if calls.is_multiple_of(AGAIN) => !better,
            _ => better,
        };
        if alone && !long { 1 } else { all }
    }

    /// How many times as long it takes by one thread as it is run best; nothing where not both ways were seen.
    pub fn alone(&self) -> Option<f64> {
        let both = self.alone_ms.is_finite() && self.together_ms.is_finite();
        both.then(|| self.alone_ms / self.alone_ms.min(self.together_ms))
    }

    /// So long a call of it took by so many threads.
    pub fn took(&mut self, threads: usize, ms: f64) {
        let least = if threads == 1 { &mut self.alone_ms } else { &mut self.together_ms };
        *least = ms.min(*least * FORGETS);
        self.calls = self.calls.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of some calls are for one thread, where a call takes so long by one and by two.
    fn alone(calls: usize, alone_ms: f64, together_ms: f64) -> usize {
        let mut pace = Pace::default();
        let call = |_| {
            let threads = pace.threads(2);
            pace.took(threads, if threads == 1 { alone_ms } else { together_ms });
            threads
        };
        (0..calls).map(call).filter(|&threads| threads == 1).count()
    }

    #[test]
    fn a_short_program_comes_to_what_is_faster() {
        assert!(alone(100, 0.2, 0.3) > 85, "what one thread does faster is left to it");
        assert!(alone(100, 0.3, 0.2) < 15, "and what two do faster to them");
        assert_eq!(alone(100, 8.0, 5.0), 0, "a long one is not tried alone");
    }

    #[test]
    fn what_one_thread_takes_is_known_once_both_ways_were_seen() {
        let mut pace = Pace::default();
        pace.took(2, 0.2);
        assert_eq!(pace.alone(), None);
        pace.took(1, 0.3);
        assert_eq!(pace.alone(), Some(0.3 / 0.2));
        pace.took(1, 0.1);
        assert_eq!(pace.alone(), Some(1.0), "it is run by one then");
    }

    #[test]
    fn a_change_is_seen() {
        let mut pace = Pace::default();
        for call in 0..400 {
            let threads = pace.threads(2);
            let faster = if call < 200 { 1 } else { 2 };
            pace.took(threads, if threads == faster { 0.2 } else { 0.3 });
        }
        assert_eq!((1..31).map(|_| pace.threads(2)).filter(|&threads| threads == 2).count(), 30);
    }
}
