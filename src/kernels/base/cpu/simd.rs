//! Four floats at once: wasm's vectors in a page, whatever the compiler makes of four floats elsewhere. Knows pointers and
//! lanes; must never know what is computed. What is `unsafe` here reads and writes through pointers that its callers bound.
#![allow(unsafe_code)]

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod vector {
    use core::arch::wasm32::*;

    /// Four floats.
    #[derive(Clone, Copy, Debug)]
    pub struct F4(v128);

    impl F4 {
        /// `x` four times.
        #[inline(always)]
        pub fn splat(x: f32) -> F4 {
            F4(f32x4_splat(x))
        }

        /// The four floats at `p`.
        /// # Safety
        /// `p` is good for reading four floats.
        #[inline(always)]
        pub unsafe fn load(p: *const f32) -> F4 {
            // SAFETY: the caller's promise; a vector needs no alignment in wasm.
            F4(unsafe { v128_load(p.cast()) })
        }

        /// The float at `p` four times.
        /// # Safety
        /// `p` is good for reading a float.
        #[inline(always)]
        pub unsafe fn load_splat(p: *const f32) -> F4 {
            // SAFETY: the caller's promise.
            F4(unsafe { v128_load32_splat(p.cast()) })
        }

        /// Writes the four floats to `p`.
        /// # Safety
        /// `p` is good for writing four floats.
        #[inline(always)]
        pub unsafe fn store(self, p: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { v128_store(p.cast(), self.0) }
        }

        /// `self + a · b`, rounded once where relaxed SIMD has that.
        #[inline(always)]
        pub fn madd(self, a: F4, b: F4) -> F4 {
            #[cfg(target_feature = "relaxed-simd")]
            return F4(f32x4_relaxed_madd(a.0, b.0, self.0));
            #[cfg(not(target_feature = "relaxed-simd"))]
            return F4(f32x4_add(self.0, f32x4_mul(a.0, b.0)));
        }

        /// Product lane by lane.
        #[inline(always)]
        pub fn times(self, b: F4) -> F4 {
            F4(f32x4_mul(self.0, b.0))
        }

        /// Sum lane by lane.
        #[inline(always)]
        pub fn plus(self, b: F4) -> F4 {
            F4(f32x4_add(self.0, b.0))
        }

        /// Difference lane by lane.
        #[inline(always)]
        pub fn minus(self, b: F4) -> F4 {
            F4(f32x4_sub(self.0, b.0))
        }

        /// Quotient lane by lane.
        #[inline(always)]
        pub fn over(self, b: F4) -> F4 {
            F4(f32x4_div(self.0, b.0))
        }

        /// `then` where a lane of `self` is below that of `b`, else `otherwise`.
        #[inline(always)]
        pub fn below(self, b: F4, then: F4, otherwise: F4) -> F4 {
            F4(v128_bitselect(then.0, otherwise.0, f32x4_lt(self.0, b.0)))
        }

        /// `otherwise` where a lane of `self` is a number, else that lane.
        #[inline(always)]
        pub fn unless_number(self, otherwise: F4) -> F4 {
            F4(v128_bitselect(otherwise.0, self.0, f32x4_eq(self.0, self.0)))
        }

        /// Times two to the power that the lowest bits of `n` say.
        #[inline(always)]
        pub fn times_two_to(self, n: F4) -> F4 {
            F4(i32x4_add(self.0, i32x4_shl(n.0, 23)))
        }

        /// Rows as columns.
        #[inline(always)]
        pub fn transposed([a, b, c, d]: [F4; 4]) -> [F4; 4] {
            let (low, high) = (i32x4_shuffle::<0, 4, 1, 5>(a.0, b.0), i32x4_shuffle::<2, 6, 3, 7>(a.0, b.0));
            let (left, right) = (i32x4_shuffle::<0, 4, 1, 5>(c.0, d.0), i32x4_shuffle::<2, 6, 3, 7>(c.0, d.0));
            [
                F4(i64x2_shuffle::<0, 2>(low, left)),
                F4(i64x2_shuffle::<1, 3>(low, left)),
                F4(i64x2_shuffle::<0, 2>(high, right)),
                F4(i64x2_shuffle::<1, 3>(high, right)),
            ]
        }

        /// Of eight floats the first of each two, and the second.
        #[inline(always)]
        pub fn halves([a, b]: [F4; 2]) -> [F4; 2] {
            [F4(i32x4_shuffle::<0, 2, 4, 6>(a.0, b.0)), F4(i32x4_shuffle::<1, 3, 5, 7>(a.0, b.0))]
        }

        /// The greater lane by lane; where a lane is no number, either.
        #[inline(always)]
        pub fn greater(self, b: F4) -> F4 {
            #[cfg(target_feature = "relaxed-simd")]
            return F4(f32x4_relaxed_max(self.0, b.0));
            #[cfg(not(target_feature = "relaxed-simd"))]
            return F4(f32x4_pmax(self.0, b.0));
        }

        /// What is below `low` as that, lane by lane; what is no number stays.
        #[inline(always)]
        pub fn at_least(self, low: F4) -> F4 {
            F4(f32x4_pmax(self.0, low.0))
        }

        /// What is above `high` as that, lane by lane; what is no number stays.
        #[inline(always)]
        pub fn at_most(self, high: F4) -> F4 {
            F4(f32x4_pmin(self.0, high.0))
        }

        /// The four lanes.
        #[inline(always)]
        pub fn lanes(self) -> [f32; 4] {
            [
                f32x4_extract_lane::<0>(self.0),
                f32x4_extract_lane::<1>(self.0),
                f32x4_extract_lane::<2>(self.0),
                f32x4_extract_lane::<3>(self.0),
            ]
        }
    }
}

#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod vector {
    /// Four floats.
    #[derive(Clone, Copy, Debug)]
    #[repr(align(16))]
    pub struct F4([f32; 4]);

    impl F4 {
        /// `x` four times.
        #[inline(always)]
        pub fn splat(x: f32) -> F4 {
            F4([x; 4])
        }

        /// The four floats at `p`.
        /// # Safety
        /// `p` is good for reading four floats.
        #[inline(always)]
        pub unsafe fn load(p: *const f32) -> F4 {
            // SAFETY: the caller's promise; floats may lie at any of their own addresses.
            F4(unsafe { p.cast::<[f32; 4]>().read() })
        }

        /// The float at `p` four times.
        /// # Safety
        /// `p` is good for reading a float.
        #[inline(always)]
        pub unsafe fn load_splat(p: *const f32) -> F4 {
            // SAFETY: the caller's promise.
            F4([unsafe { p.read() }; 4])
        }

        /// Writes the four floats to `p`.
        /// # Safety
        /// `p` is good for writing four floats.
        #[inline(always)]
        pub unsafe fn store(self, p: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { p.cast::<[f32; 4]>().write(self.0) }
        }

        /// `self + a · b`.
        #[inline(always)]
        pub fn madd(self, a: F4, b: F4) -> F4 {
            F4(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
        }

        /// Product lane by lane.
        #[inline(always)]
        pub fn times(self, b: F4) -> F4 {
            F4(std::array::from_fn(|i| self.0[i] * b.0[i]))
        }

        /// Sum lane by lane.
        #[inline(always)]
        pub fn plus(self, b: F4) -> F4 {
            F4(std::array::from_fn(|i| self.0[i] + b.0[i]))
        }

        /// Difference lane by lane.
        #[inline(always)]
        pub fn minus(self, b: F4) -> F4 {
            F4(std::array::from_fn(|i| self.0[i] - b.0[i]))
        }

        /// Quotient lane by lane.
        #[inline(always)]
        pub fn over(self, b: F4) -> F4 {
            F4(std::array::from_fn(|i| self.0[i] / b.0[i]))
        }

        /// `then` where a lane of `self` is below that of `b`, else `otherwise`.
        #[inline(always)]
        pub fn below(self, b: F4, then: F4, otherwise: F4) -> F4 {
            F4(std::array::from_fn(|i| if self.0[i] < b.0[i] { then.0[i] } else { otherwise.0[i] }))
        }

        /// `otherwise` where a lane of `self` is a number, else that lane.
        #[inline(always)]
        pub fn unless_number(self, otherwise: F4) -> F4 {
            F4(std::array::from_fn(|i| if self.0[i].is_nan() { self.0[i] } else { otherwise.0[i] }))
        }

        /// Times two to the power that the lowest bits of `n` say.
        #[inline(always)]
        pub fn times_two_to(self, n: F4) -> F4 {
            F4(std::array::from_fn(|i| f32::from_bits(self.0[i].to_bits().wrapping_add(n.0[i].to_bits() << 23))))
        }

        /// Rows as columns.
        #[inline(always)]
        pub fn transposed(rows: [F4; 4]) -> [F4; 4] {
            std::array::from_fn(|i| F4(rows.map(|row| row.0[i])))
        }

        /// Of eight floats the first of each two, and the second.
        #[inline(always)]
        pub fn halves([F4(a), F4(b)]: [F4; 2]) -> [F4; 2] {
            [F4([a[0], a[2], b[0], b[2]]), F4([a[1], a[3], b[1], b[3]])]
        }

        /// The greater lane by lane; where a lane is no number, either.
        #[inline(always)]
        pub fn greater(self, b: F4) -> F4 {
            F4(std::array::from_fn(|i| if self.0[i] < b.0[i] { b.0[i] } else { self.0[i] }))
        }

        /// What is below `low` as that, lane by lane; what is no number stays.
        #[inline(always)]
        pub fn at_least(self, low: F4) -> F4 {
            self.greater(low)
        }

        /// What is above `high` as that, lane by lane; what is no number stays.
        #[inline(always)]
        pub fn at_most(self, high: F4) -> F4 {
            F4(std::array::from_fn(|i| if high.0[i] < self.0[i] { high.0[i] } else { self.0[i] }))
        }

        /// The four lanes.
        #[inline(always)]
        pub fn lanes(self) -> [f32; 4] {
            self.0
        }
    }
}

pub use vector::F4;

/// Floats of a line of a processor's cache.
pub const LINE: usize = 16;

impl F4 {
    /// A constant four times, to be kept in a loop: an engine puts one that the compiler sees together anew in each turn.
    #[inline(always)]
    pub fn kept(x: &f32) -> F4 {
        // SAFETY: a reference is good for reading.
        F4::splat(unsafe { std::ptr::from_ref(x).read_volatile() })
    }

    /// The first four of some floats.
    #[inline(always)]
    pub fn of(from: &[f32]) -> F4 {
        let from = &from[..4];
        // SAFETY: four floats, as was just seen.
        unsafe { F4::load(from.as_ptr()) }
    }

    /// Writes the four floats to the first of `to`.
    #[inline(always)]
    pub fn put(self, to: &mut [f32]) {
        let to = &mut to[..4];
        // SAFETY: four floats, as was just seen.
        unsafe { self.store(to.as_mut_ptr()) }
    }
}
