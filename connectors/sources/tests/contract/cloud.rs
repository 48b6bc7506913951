//! What is asked of a cloud, and what its answers are taken for.

use headwater_sources::source::{Ask, Fault, Fetch, Response, Window};
use headwater_sources::{ALL, Source};

use super::{DAY, MONDAY};

/// Every question of every source that asks.
fn questions() -> Vec<(&'static dyn Source, Fetch)> {
    let mut all = Vec::new();
    for source in ALL.iter().filter(|s| s.profile().live()) {
        for stream in source.profile().streams.iter().filter(|s| s.poll.is_some()) {
            let days = i64::from(stream.poll.expect("polled").window_days);
            let ask = Ask {
                stream,
                window: Window { start: MONDAY, end: MONDAY + days * DAY },
                zone: Some("Europe/Berlin"),
                object: None,
            };
            let planned = source.plan(&ask);
            assert!(!planned.is_empty(), "{} {} is polled and asks nothing", source.profile().id, stream.id);
            all.extend(planned.into_iter().map(|fetch| (*source, fetch)));
        }
    }
    all
}

#[test]
fn questions_stay_under_the_providers_own_address_and_are_the_same_each_time() {
    assert!(questions().len() >= 40);
    for ((source, fetch), (_, again)) in questions().iter().zip(questions()) {
        assert!(fetch.path.starts_with('/') && !fetch.path.contains(".."), "{} {}", source.profile().id, fetch.path);
        assert!(fetch == &again, "{} {}", source.profile().id, fetch.path);
        assert!(!fetch.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")), "the driver proves who asks");
    }
}

#[test]
fn windows_of_any_time_and_length_are_planned_without_a_panic() {
    for source in ALL {
        for stream in source.profile().streams {
            for (start, end) in [
                (0, 0),
                (0, DAY),
                (i64::MIN, i64::MAX),
                (MONDAY, MONDAY - DAY),
                (i64::MAX - 1, i64::MAX),
                (MONDAY, MONDAY + 5000 * DAY),
            ] {
                let _ = source.plan(&Ask { stream, window: Window { start, end }, zone: Some("no/zone"), object: Some("x") });
            }
        }
    }
}

#[test]
fn every_failure_is_taken_for_what_it_is() {
    for (source, fetch) in questions() {
        let what = format!("{} {}", source.profile().id, fetch.path);
        let read = |status, headers: &[(String, String)], body: &[u8]| source.read(&fetch, &Response { status, headers, body });
        assert_eq!(read(401, &[], b"{}"), Err(Fault::Reauthorise), "{what}");
        assert!(matches!(read(403, &[], b"{}"), Err(Fault::Refused(_))), "{what}");
        let later = [("retry-after".to_owned(), "7".to_owned())];
        assert!(matches!(read(429, &later, b"{}"), Err(Fault::Limited { after: Some(_) })), "{what}");
        for status in [500, 502, 503, 504] {
            assert!(matches!(read(status, &[], b"<html>"), Err(Fault::Again { .. })), "{what} {status}");
        }
        for body in [&b"<html>a proxy's page</html>"[..], b"{\"cut\":[", b"", b"\xff\xfe"] {
            let read = read(200, &[], body);
            assert!(matches!(read, Err(Fault::Broken(_) | Fault::Coming)), "{what} takes {body:?} for {read:?}");
        }
    }
}

#[test]
fn odd_names_of_records_never_get_into_an_address() {
    for source in ALL {
        for stream in source.profile().streams {
            for odd in ["", "../x", "a/b", "a?b=c", "a#b", "%2e%2e", "ä", "a b", "a\r\nb"] {
                assert!(source.locate(stream, odd).is_none(), "{} {} {odd:?}", source.profile().id, stream.id);
            }
        }
    }
}

#[test]
fn a_request_prints_neither_tokens_nor_parameters() {
    use headwater_sources::source::Revoke;
    for source in ALL {
        let grant = Revoke { user: "42", client_id: "c4n4ry", client_secret: "c4n4ry", access: "c4n4ry", now: 1 };
        if let Some(fetch) = source.revoke(&grant, None) {
            assert!(!format!("{fetch:?}").contains("c4n4ry"), "{}", source.profile().id);
        }
    }
}
