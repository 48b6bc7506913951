//! Who may do what.

use super::super::{Action, Caller};
use super::*;

const OWN: &str = "p-1";
const OTHER: &str = "p-9";

async fn caller(change: Value) -> Result<Caller, &'static str> {
    let keys = DevKeys::generate();
    let mut claims = claims_without("scope");
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let settings = Settings { subject_claim: "patient".into(), ..settings() };
    let set = super::super::key::KeySet::parse(set(&[&named(keys.jwk(), "k")]).as_bytes()).unwrap();
    let verifier = Verifier::fixed(settings, set, Time::new().clock());
    verifier.verify(&keys.sign(&header("ES256", "k"), &claims)).await.map_err(|denied| denied.code)
}

/// Per action what a caller may do: on their own or listed subject, and on another.
fn table(caller: &Caller) -> Vec<(Action, bool, bool)> {
    Action::ALL.into_iter().map(|action| (action, caller.may(action, OWN), caller.may(action, OTHER))).collect()
}

#[tokio::test]
async fn every_role_may_do_what_the_table_says_and_no_more() {
    use Action::*;
    let (yes, no) = (true, false);
    let claims = |scope: &str| json!({ "scope": scope, "patient": OWN, "subjects": ["p-0", OWN] });
    // Own and other, for each of: subject, clinician, operator, reader.
    let expected = [
        (ReadObservations, [(yes, no), (yes, no), (no, no), (yes, yes)]),
        (ReadConnection, [(yes, no), (yes, no), (yes, yes), (no, no)]),
        (Connect, [(yes, no), (no, no), (yes, yes), (no, no)]),
        (Sync, [(yes, no), (yes, no), (yes, yes), (no, no)]),
        (Deactivate, [(yes, no), (no, no), (yes, yes), (no, no)]),
        (Disconnect, [(yes, no), (no, no), (yes, yes), (no, no)]),
        (Invite, [(no, no), (yes, no), (yes, yes), (no, no)]),
        (Consent, [(yes, no), (no, no), (no, no), (no, no)]),
        (Erase, [(yes, no), (no, no), (yes, yes), (no, no)]),
        (ListAll, [(no, no), (no, no), (yes, yes), (no, no)]),
        (ReadAudit, [(yes, no), (no, no), (yes, yes), (no, no)]),
    ];
    for (column, role) in ["subject", "clinician", "operator", "reader"].into_iter().enumerate() {
        let caller = caller(claims(&format!("headwater.{role}"))).await.unwrap();
        assert_eq!(caller.actor, format!("{role}:u-1"));
        let rows: Vec<_> = expected.iter().map(|(action, cells)| (*action, cells[column].0, cells[column].1)).collect();
        assert_eq!(table(&caller), rows, "{role}");
    }
}

#[tokio::test]
async fn two_roles_may_do_what_either_may_and_lend_each_other_nobody() {
    let both =
        caller(json!({ "scope": "headwater.subject headwater.clinician", "patient": OWN, "subjects": [OTHER] })).await.unwrap();
    assert_eq!(both.actor, "clinician:u-1");
    assert!(both.may(Action::Erase, OWN) && both.may(Action::Invite, OTHER));
    assert!(!both.may(Action::Erase, OTHER) && !both.may(Action::Invite, OWN));
}

#[tokio::test]
async fn claims_about_people_count_only_with_the_scope_for_them() {
    let reader = caller(json!({ "scope": "headwater.reader", "patient": OWN, "subjects": [OWN] })).await.unwrap();
    assert_eq!((&reader.subject, reader.subjects.len()), (&None, 0));
    let nobody = caller(json!({ "scope": "headwater.subject headwater.clinician" })).await.unwrap();
    assert!(table(&nobody).iter().all(|(_, own, other)| !own && !other));
    assert!(Action::ALL.into_iter().all(|action| !nobody.may(action, "")));
}

#[tokio::test]
async fn claims_about_people_of_the_wrong_shape_are_refused() {
    for patient in [json!(""), json!(7), json!([OWN]), Value::Null, json!("p".repeat(201))] {
        assert_eq!(caller(json!({ "scope": "headwater.subject", "patient": patient })).await, Err("malformed"));
    }
    for subjects in [json!([7]), json!([""]), json!({ "id": OWN }), Value::Null] {
        assert_eq!(caller(json!({ "scope": "headwater.clinician", "subjects": subjects })).await, Err("malformed"));
    }
}

#[tokio::test]
async fn scopes_come_as_words_or_as_a_list_and_unknown_ones_are_passed_over() {
    for claims in [
        json!({ "scope": "openid headwater.reader headwater.future" }),
        json!({ "scp": ["openid", "headwater.reader"] }),
        json!({ "scp": "openid headwater.reader" }),
    ] {
        let reader = caller(claims).await.unwrap();
        assert!(reader.may(Action::ReadObservations, OWN) && !reader.may(Action::ReadConnection, OWN));
    }
    for claims in [
        json!({}),
        json!({ "scope": "" }),
        json!({ "scope": "openid headwater.everything" }),
        json!({ "scope": "Headwater.Reader" }),
        json!({ "scope": "headwater.developer" }),
        json!({ "scp": [] }),
    ] {
        assert_eq!(caller(claims).await, Err("scope"));
    }
    assert_eq!(caller(json!({ "scope": 1 })).await, Err("malformed"));
}

#[test]
fn the_static_token_is_operator_and_reader_and_an_open_server_is_everything() {
    let system = Caller::system("system:token");
    let refused: Vec<_> = Action::ALL.into_iter().filter(|action| !system.may(*action, OWN)).collect();
    assert_eq!((system.actor.as_str(), refused), ("system:token", vec![Action::Consent]));
    let open = Caller::open("dev");
    assert!(Action::ALL.into_iter().all(|action| open.may(action, OWN)));
}

#[test]
fn a_requirement_that_is_not_met_is_403() {
    let denied = Caller::system("s").require(Action::Consent, OWN).unwrap_err();
    assert_eq!((denied.status, denied.code), (403, "scope"));
    assert!(Caller::system("s").require(Action::Erase, OWN).is_ok());
}
