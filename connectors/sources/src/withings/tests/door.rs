//! What the webhook takes, and what is subscribed to.

use super::*;

#[test]
fn the_handshake_wants_the_secret_in_the_path() {
    for method in ["HEAD", "GET"] {
        assert_eq!(call(method, SECRET, b"").unwrap().status, 200);
        for wrong in ["", "f3b1c3", "f3b1c2x", "F3B1C2"] {
            assert_eq!(call(method, wrong, b"").unwrap_err().status, 401, "{wrong}");
        }
    }
    assert_eq!(call("PUT", SECRET, b"").unwrap_err().status, 405);
    let unset = Inbound { method: "GET", tail: "", query: "", headers: &[], body: b"", keys: &Keys::default(), now: 0 };
    assert_eq!(Withings.receive(&unset).unwrap_err().status, 401, "without a configured secret nobody gets in");
}

#[test]
fn each_appli_means_its_streams() {
    for (appli, streams) in [
        ("1", vec!["getmeas"]),
        ("4", vec!["getmeas", "heartlist"]),
        ("16", vec!["getactivity", "getintradayactivity", "getworkouts"]),
        ("44", vec!["sleep", "sleepsummary"]),
        ("54", vec!["heartlist"]),
    ] {
        let body = format!("userid=7&appli={appli}&startdate=1761516000&enddate=1761516060");
        let receipt = call("POST", SECRET, body.as_bytes()).unwrap();
        let [Entry::Hint(notice)] = &receipt.entries[..] else { panic!("one hint") };
        assert_eq!((receipt.status, &notice.streams, notice.user.as_str()), (200, &streams, "7"));
        assert_eq!(notice.window, Some(Window { start: 1_761_516_000_000_000, end: 1_761_516_061_000_000 }));
    }
}

#[test]
fn bed_and_inflation_events_and_unknown_ones_are_accepted_and_counted() {
    for appli in ["50", "51", "52", "58", "999", "x"] {
        let receipt = call("POST", SECRET, format!("userid=7&appli={appli}&date=2026-10-26").as_bytes()).unwrap();
        assert_eq!((receipt.status, receipt.ignored, receipt.entries.len()), (200, 1, 0), "{appli}");
    }
}

#[test]
fn an_unlinked_account_is_a_revocation() {
    for action in ["unlink", "delete"] {
        let receipt = call("POST", SECRET, format!("userid=7&appli=46&action={action}").as_bytes()).unwrap();
        assert!(matches!(&receipt.entries[..], [Entry::Hint(n)] if n.change == Change::Revoked));
    }
    let receipt = call("POST", SECRET, b"userid=7&appli=46&action=update").unwrap();
    assert!(matches!(&receipt.entries[..], [Entry::Hint(n)] if n.change == Change::Data && n.streams.is_empty()));
}

#[test]
fn a_date_is_a_day_or_an_epoch_and_rubbish_is_400() {
    for date in ["2026-10-26", "1792972800"] {
        let receipt = call("POST", SECRET, format!("userid=7&appli=44&date={date}").as_bytes()).unwrap();
        assert!(matches!(&receipt.entries[..], [Entry::Hint(n)] if n.window.is_some()));
    }
    for body in
        ["", "appli=1", "userid=&appli=1", "userid=7&appli=1&startdate=9&enddate=1", "userid=7&appli=1&startdate=x&enddate=y"]
    {
        assert_eq!(call("POST", SECRET, body.as_bytes()).unwrap_err().status, 400, "{body}");
    }
}

#[test]
fn each_kind_of_notification_is_subscribed_by_itself() {
    let fetches = Withings.subscribe("https://example.org/webhooks/withings/x");
    let applis: Vec<&str> =
        fetches.iter().filter_map(|f| f.form.iter().find(|(n, _)| *n == "appli")).map(|(_, v)| v.as_str()).collect();
    assert_eq!(applis, ["1", "2", "4", "16", "44", "46", "54"]);
    assert!(fetches.iter().all(|f| f.path == "/notify" && f.form.contains(&("action", "subscribe".into()))));
    for body in ["{}", "[]"] {
        let body = format!(r#"{{"status":0,"body":{body}}}"#);
        assert!(Withings.read(&fetches[0], &Response { status: 200, headers: &[], body: body.as_bytes() }).is_ok());
    }
}

#[test]
fn an_events_date_may_have_a_time_of_day() {
    let receipt = call("POST", SECRET, b"userid=7&appli=54&date=2026-10-26+19%3A30%3A00&deviceid=d").unwrap();
    let [Entry::Hint(notice)] = &receipt.entries[..] else { panic!("one hint") };
    let window = notice.window.expect("a window");
    let recording = 1_793_039_400_000_000;
    assert!(window.start < recording && recording < window.end && notice.streams == ["heartlist"]);
}
