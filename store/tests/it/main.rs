//! One contract, held by every store: on SQLite and in memory always, on ScyllaDB or Cassandra where `CASSANDRA_NODE` (host:port) names a node.
//!
//! With `HEADWATER_TEST_REAL=1` a missing node is a failure, so that a machine that is meant to have one cannot pass without it.

mod accounts;
mod cql;
mod fixtures;
mod latest;
mod observations;
mod people;
mod proxy;
mod sqlite;
mod tokens;

/// The contract: each entry is `async fn(Arc<dyn Store>)` and brings its own ids, so that all of them can share one store.
macro_rules! contract {
    ($($module:ident :: $name:ident,)*) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (_folder, store) = super::sqlite::in_a_file().await;
                    super::$module::$name(store).await;
                }
            )*
        }

        mod in_memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$module::$name(std::sync::Arc::new(headwater_store::memory::MemoryStore::default())).await;
                }
            )*
        }

        pub fn contract(store: std::sync::Arc<dyn headwater_store::Store>) -> Vec<(&'static str, futures::future::BoxFuture<'static, ()>)> {
            vec![$((stringify!($name), Box::pin($module::$name(store.clone())) as futures::future::BoxFuture<'static, ()>),)*]
        }
    };
}

contract! {
    accounts::a_store_answers_after_migrating_twice,
    accounts::a_connection_comes_back_as_it_was_put,
    accounts::a_replaced_connection_keeps_nothing_of_the_old_one,
    accounts::a_shard_is_listed_in_pages_without_gaps_or_repeats,
    accounts::a_state_is_set_where_there_is_a_connection,
    accounts::a_poll_is_noted_in_the_connection_and_in_the_listing,
    accounts::cursors_digests_and_held_buckets_come_back_and_are_replaced,
    tokens::tokens_come_back_opened,
    tokens::a_stale_generation_is_refused,
    tokens::of_two_that_put_the_first_pair_one_wins,
    tokens::of_fifty_that_refresh_at_once_one_wins,
    tokens::a_lease_is_held_until_it_expires,
    tokens::a_fence_only_grows,
    tokens::a_released_lease_is_free_and_a_stale_release_does_nothing,
    tokens::of_many_that_want_a_lease_one_gets_it,
    people::the_connections_of_a_subject_are_listed_until_they_are_taken_off,
    people::health_tells_the_last_success_and_what_failed_since,
    people::a_begun_refresh_is_remembered_until_it_is_given_up,
    people::a_deleted_connection_leaves_nothing_and_can_come_again,
    people::a_subject_is_found_by_who_it_is_elsewhere_and_put_once,
    people::of_two_who_record_a_consent_one_is_first,
    people::a_pending_thing_is_taken_once_and_not_after_its_end,
    people::a_subjects_key_opens_what_it_sealed_for_every_instance,
    people::of_an_erased_subject_nothing_is_left_and_nothing_comes_back,
    observations::an_observation_comes_back_with_all_its_values,
    observations::writing_the_same_again_changes_nothing,
    observations::the_same_state_again_is_not_news_and_another_one_is,
    observations::every_order_of_versions_ends_in_the_newest_row,
    observations::an_observation_that_moves_there_and_back_stands_once,
    observations::at_one_version_the_newer_mapper_wins_as_a_whole,
    observations::a_newer_mapper_of_an_older_version_does_not_win,
    observations::a_large_write_over_subjects_and_months_is_complete,
    observations::pages_have_no_gaps_or_repeats_across_months_and_ties,
    observations::a_page_passes_over_places_that_observations_left,
    observations::a_range_includes_its_start_and_excludes_its_end,
    observations::the_types_of_a_subject_are_told_each_once,
    observations::devices_follow_their_versions,
    latest::the_latest_of_each_type_is_found_across_empty_months,
    latest::withdrawn_rows_are_passed_over_however_many,
    latest::nothing_is_looked_for_beyond_the_given_months_or_after_now,
}
