//! The pool's whole suite on the CPU references: the same tests that browsers run on their lanes, and what only a lane that
//! fails on request can show. Knows the pool's API and the interface of lanes; must never know a device.
#![cfg(not(target_arch = "wasm32"))]
// A test may fail loudly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "pool/building.rs"]
mod building;
#[path = "pool/calls.rs"]
mod calls;
mod common;
#[path = "pool/fallback.rs"]
mod fallback;
#[path = "pool/faults.rs"]
mod faults;
#[path = "pool/joining.rs"]
mod joining;
#[path = "common/lane.rs"]
mod lane;
#[path = "pool/lanes.rs"]
mod lanes;
#[path = "common/pool.rs"]
mod pool;
#[path = "pool/queueing.rs"]
mod queueing;
#[path = "pool/routing.rs"]
mod routing;
#[path = "pool/several.rs"]
mod several;
#[path = "pool/stacking.rs"]
mod stacking;

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

mod on_references {
    listed!(calls: a_dense_layer_agrees_with_its_reference, a_convolution_agrees_with_its_reference, rows_that_are_normalised_agree_with_their_reference, what_is_moved_agrees_with_its_reference, rows_of_a_table_are_the_table_s, whole_numbers_come_back_as_what_they_were, any_batch_runs_in_one_session, a_batch_of_nothing_gives_nothing, outputs_come_in_the_model_s_order, a_session_tells_its_inputs_and_outputs, a_load_tells_how_far_it_is, several_models_in_one_call_give_what_each_gives_alone, one_session_may_stand_in_a_call_several_times, calls_at_once_are_all_answered_each_with_its_own, one_execution_is_one_readback, equal_weights_are_held_once, memory_goes_back_after_release, the_map_of_an_arena_holds_what_lives_in_it, what_stays_on_the_device_feeds_the_next_model, a_tensor_brought_to_the_device_comes_back_the_same, a_call_whose_caller_went_away_harms_no_other, every_strategy_is_predicted_with_an_interval, what_runs_took_is_learned_from, a_comparison_measures_what_was_predicted, an_input_decides_which_branch_runs_whatever_its_shape, a_condition_that_is_computed_chooses_between_what_both_branches_give);
    listed!(faults: no_bytes_are_no_model, bytes_that_are_not_onnx_are_no_model, a_file_that_is_cut_is_no_model, a_model_without_outputs_is_none, an_output_that_nothing_computes_is_named, an_input_that_nothing_computes_is_named, an_operator_that_nobody_knows_is_named, an_attribute_that_nobody_knows_is_named, a_type_that_is_not_read_is_named, weights_that_were_not_given_are_missing, weights_that_are_too_short_are_missing, weights_that_were_given_are_taken, shapes_that_do_not_fit_name_their_node, a_feed_that_is_missing_is_named, a_feed_of_another_name_is_named, a_feed_of_another_type_is_told_the_type, a_feed_of_another_length_is_told_the_axis, a_feed_of_another_rank_is_refused, an_output_that_is_not_there_cannot_be_kept, a_session_that_was_never_there_is_closed, free_dimensions_of_one_name_must_agree, a_tensor_has_as_many_elements_as_its_shape_says, a_request_that_fails_takes_the_call_and_no_other, nothing_is_not_compared_and_not_predicted, a_session_that_was_released_is_closed, a_tensor_that_was_disposed_of_is_closed, a_closed_pool_says_so_to_everyone, a_budget_is_kept_and_what_fits_still_runs);
    listed!(fallback: a_load_under_way_on_a_lane_that_is_lost_is_done_on_another, a_load_under_way_on_the_only_lane_is_done_once_that_is_back, a_load_that_no_lane_outlives_says_so, shapes_that_a_lane_refuses_run_on_another_and_the_rest_stays, calls_in_flight_on_a_lane_that_is_lost_are_answered_by_another, a_lane_that_is_lost_again_and_again_is_opened_as_often, a_lane_that_is_lost_before_it_answers_is_not_opened_for_ever, weights_that_cannot_be_had_again_are_lost_with_their_lane, a_file_that_changed_is_another_model, a_tensor_on_a_lane_that_was_lost_is_lost, a_model_that_no_open_lane_takes_opens_one_that_does, a_lane_that_was_lost_comes_back_when_it_is_faster, a_lane_that_is_opened_while_the_pool_closes_is_closed_too);
    listed!(routing: a_session_moves_to_the_lane_that_is_measured_to_be_faster, a_lane_that_is_slower_is_tried_and_left, nothing_is_tried_where_a_call_would_pay_for_it, a_lane_that_cannot_be_made_ready_is_not_tried_again);
    listed!(building: new_shapes_are_answered_by_another_lane_until_they_are_built, shapes_that_come_once_are_not_built_in_vain, a_build_that_fails_beside_calls_is_told_once, a_build_is_waited_for_where_nothing_else_may_answer);
    listed!(stacking: callers_of_one_session_are_one_call_of_more_rows, callers_that_decide_the_same_are_rows_of_one_call, nothing_is_stacked_where_memory_counts, a_stack_that_fails_fails_no_call, one_bad_request_of_many_is_refused_alone);
    listed!(joining: heads_that_are_fed_the_same_become_one_call, a_joint_is_made_at_once_where_it_is_asked_for, what_sessions_have_in_common_is_predicted_and_compared, a_joint_goes_with_the_first_of_its_sessions, a_joint_that_fails_fails_no_call, models_of_any_kind_may_be_one_call_and_none_is_where_memory_counts);
    listed!(queueing: the_urgent_are_answered_first, who_calls_often_does_not_keep_others_waiting, what_cannot_be_in_time_is_told_at_once, no_more_calls_wait_than_may, an_execution_stops_once_nobody_waits_for_it, the_queue_shows_what_waits);
    listed!(several: sessions_are_shared_out_over_as_many_lanes_as_there_may_be, calls_of_sessions_on_like_lanes_run_at_once, a_call_whose_lane_is_busy_runs_beside_it_where_its_session_is_ready, a_set_is_split_where_that_is_asked_for_or_worth_it, a_split_is_predicted_and_compared_with_the_rest, a_lane_that_is_lost_leaves_its_calls_to_one_like_it);
    listed!(lanes: calls_of_one_turn_share_an_execution_but_not_with_one_that_names_a_strategy, an_execution_that_fails_is_repeated_for_each_of_its_calls_alone, a_preparation_that_fails_leaves_nothing_and_may_be_tried_again, a_load_that_nobody_waits_for_leaves_nothing_and_no_observation_is_lost, a_call_that_nobody_waits_for_is_taken_back_or_ends_unheard, a_lane_that_is_lost_ends_its_calls_and_the_other_goes_on, a_call_over_two_lanes_is_one_execution_on_each, a_fault_on_one_lane_fails_the_call_and_nothing_else, a_tensor_of_one_lane_feeds_a_session_of_another, what_is_told_is_told_by_lane, a_model_goes_to_the_first_lane_that_takes_it, a_lane_measures_itself_between_calls_and_never_beside_one, a_class_that_cannot_be_measured_leaves_the_others_their_forecasts, a_session_of_float32_keeps_away_from_lanes_of_fewer_bits, a_pool_of_no_lanes_is_none);
}
