//! What the test command says by variables.

/// What a variable says, where it is set.
pub fn variable(name: &str) -> Option<String> {
    std::env::vars().find(|(n, _)| n == name).map(|(_, value)| value)
}

/// Whether a variable says yes.
pub fn asked(name: &str) -> bool {
    variable(name).as_deref() == Some("1")
}

/// Whether tests may take long: outages beyond any time-out of a client, and many more rounds.
pub fn long() -> bool {
    asked("HEADWATER_TEST_LONG")
}
