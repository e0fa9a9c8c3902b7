//! Arena slots and sizes: how many arenas an execution needs, how large each buffer is made.
//! The allocator rounds by these functions and the prediction uses the same, so that both agree to the byte.

/// `bytes` rounded up to a multiple of `to`.
pub fn align(bytes: u64, to: u64) -> u64 {
    bytes.div_ceil(to) * to
}

/// Size of the buffer of a weight of `bytes`; 16 so that it can be read as `vec4`.
pub fn weight_bytes(bytes: u64) -> u64 {
    align(bytes.max(1), 16)
}

/// Size of a staging buffer that holds `bytes`: a size class, so that buffers can be used again.
pub fn staging_bytes(bytes: u64) -> u64 {
    let bytes = bytes.max(4096);
    // Four classes to each doubling keep the waste below a quarter.
    align(bytes, (bytes.next_power_of_two() / 8).max(256))
}

/// Which slot each program of an execution gets, and how large each slot must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotPlan {
    /// Slot of each program.
    pub slot_of: Vec<usize>,
    /// Bytes of each slot, largest first.
    pub bytes: Vec<u64>,
}

/// Assigns arenas: one for all where they may share (they follow each other), else one each, largest first, so
/// that different sets of programs meet slots of like size.
pub fn assign_slots(arena_bytes: &[u64], share: bool) -> SlotPlan {
    if share {
        let most = arena_bytes.iter().copied().max().unwrap_or(0);
        return SlotPlan { slot_of: vec![0; arena_bytes.len()], bytes: vec![most] };
    }
    let mut order: Vec<usize> = (0..arena_bytes.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(arena_bytes[i]), i));
    let mut slot_of = vec![0; arena_bytes.len()];
    for (slot, &program) in order.iter().enumerate() {
        slot_of[program] = slot;
    }
    SlotPlan { slot_of, bytes: order.iter().map(|&i| arena_bytes[i]).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_programs_take_one_slot_of_the_largest() {
        assert_eq!(assign_slots(&[3, 9, 5], true), SlotPlan { slot_of: vec![0, 0, 0], bytes: vec![9] });
        assert_eq!(assign_slots(&[3, 9, 5], false), SlotPlan { slot_of: vec![2, 0, 1], bytes: vec![9, 5, 3] });
    }

    #[test]
    fn a_staging_class_wastes_less_than_a_quarter() {
        for bytes in [1, 4096, 5000, 4_000_001, 600_000] {
            let class = staging_bytes(bytes);
            assert!(class >= bytes && class.is_multiple_of(256));
            assert!(bytes < 4096 || (class - bytes) * 4 <= bytes, "{bytes} in {class}");
        }
    }
}
