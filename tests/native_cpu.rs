//! The pool's suite on the `cpu` lane before a processor of two threads in this process, which it asks by the same messages as
//! one in a worker. Knows the pool's API; must never know a routine.
#![cfg(all(not(target_arch = "wasm32"), feature = "gpu"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "pool/calls.rs"]
mod calls;
mod common;
#[path = "pool/faults.rs"]
mod faults;
#[path = "common/pool.rs"]
mod pool;

mod lane {
    use consort::lane::Lane;
    use consort::lane::far::{FarLane, Near};
    use std::rc::Rc;

    /// The lane of a pool for tests.
    pub async fn opened(budget: Option<u64>) -> Vec<Rc<dyn Lane>> {
        vec![Rc::new(FarLane::open("cpu", Box::new(Near::new(2)), budget).await.expect("a processor"))]
    }
}

/// Tests of a module, by name: the compiler warns of one that is forgotten.
macro_rules! listed {
    ($module:ident: $($name:ident),+ $(,)?) => {
        mod $module {
            $(#[test]
            fn $name() {
                consort::lane::host::block_on(super::super::$module::$name());
            })+
        }
    };
}

mod on_a_processor {
    listed!(calls: a_dense_layer_agrees_with_its_reference, a_convolution_agrees_with_its_reference, rows_that_are_normalised_agree_with_their_reference, what_is_moved_agrees_with_its_reference, rows_of_a_table_are_the_table_s, whole_numbers_come_back_as_what_they_were, any_batch_runs_in_one_session, a_batch_of_nothing_gives_nothing, outputs_come_in_the_model_s_order, a_session_tells_its_inputs_and_outputs, a_load_tells_how_far_it_is, several_models_in_one_call_give_what_each_gives_alone, one_session_may_stand_in_a_call_several_times, calls_at_once_are_all_answered_each_with_its_own, one_execution_is_one_readback, equal_weights_are_held_once, memory_goes_back_after_release, the_map_of_an_arena_holds_what_lives_in_it, what_stays_on_the_device_feeds_the_next_model, a_tensor_brought_to_the_device_comes_back_the_same, a_call_whose_caller_went_away_harms_no_other, every_strategy_is_predicted_with_an_interval, what_runs_took_is_learned_from, a_comparison_measures_what_was_predicted, an_input_decides_which_branch_runs_whatever_its_shape, a_condition_that_is_computed_chooses_between_what_both_branches_give);
    listed!(faults: no_bytes_are_no_model, bytes_that_are_not_onnx_are_no_model, a_file_that_is_cut_is_no_model, a_model_without_outputs_is_none, an_output_that_nothing_computes_is_named, an_input_that_nothing_computes_is_named, an_operator_that_nobody_knows_is_named, an_attribute_that_nobody_knows_is_named, a_type_that_is_not_read_is_named, weights_that_were_not_given_are_missing, weights_that_are_too_short_are_missing, weights_that_were_given_are_taken, shapes_that_do_not_fit_name_their_node, a_feed_that_is_missing_is_named, a_feed_of_another_name_is_named, a_feed_of_another_type_is_told_the_type, a_feed_of_another_length_is_told_the_axis, a_feed_of_another_rank_is_refused, an_output_that_is_not_there_cannot_be_kept, a_session_that_was_never_there_is_closed, free_dimensions_of_one_name_must_agree, a_tensor_has_as_many_elements_as_its_shape_says, a_request_that_fails_takes_the_call_and_no_other, nothing_is_not_compared_and_not_predicted, a_session_that_was_released_is_closed, a_tensor_that_was_disposed_of_is_closed, a_closed_pool_says_so_to_everyone, a_budget_is_kept_and_what_fits_still_runs);
}
