//! A bounded history: when it is full, every second of its oldest half goes, so that what was long ago stays, more and more thinly.
//! Knows an order; must never know what stands in it.

/// At most so many, oldest first.
#[derive(Clone, Debug)]
pub struct Thinned<T> {
    kept: Vec<T>,
    most: usize,
    /// How many were ever added.
    added: usize,
}

impl<T> Thinned<T> {
    /// Of nothing yet, and of `most` at most, four at least.
    pub fn new(most: usize) -> Thinned<T> {
        Thinned { kept: vec![], most: most.max(4), added: 0 }
    }

    /// Adds the newest.
    pub fn add(&mut self, item: T) {
        if self.kept.len() == self.most {
            let (half, mut at) = (self.most / 2, 0);
            self.kept.retain(|_| {
                at += 1;
                at > half || at % 2 == 1
            });
        }
        self.kept.push(item);
        self.added += 1;
    }

    /// Those kept, oldest first.
    pub fn as_slice(&self) -> &[T] {
        &self.kept
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.kept.iter_mut()
    }

    /// How many were ever added.
    pub fn added(&self) -> usize {
        self.added
    }
}

// proptest does not build for wasm.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::Thinned;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_bounded_in_order_and_reaches_back_to_the_first(most in 4usize..100, count in 0usize..2000) {
            let mut all = Thinned::new(most);
            for i in 0..count {
                all.add(i);
                let kept = all.as_slice();
                prop_assert!(kept.len() <= most && all.added() == i + 1);
                prop_assert_eq!((kept[0], kept[kept.len() - 1]), (0, i));
            }
            let kept = all.as_slice();
            prop_assert!(kept.windows(2).all(|two| two[0] < two[1]));
            prop_assert!(count > most || kept.len() == count, "nothing goes before it is full");
            // The newest half has no gap, and gaps before it only grow with age.
            let newest = (most / 2).min(count);
            prop_assert!(kept.iter().rev().take(newest).eq((0..count).rev().take(newest).collect::<Vec<_>>().iter()));
            let quarters: Vec<usize> = (0..4).map(|q| kept.iter().filter(|&&i| i * 4 / count.max(1) == q).count()).collect();
            prop_assert!(quarters.windows(2).all(|two| two[0] <= two[1] + 1), "{:?}", quarters);
        }
    }
}
