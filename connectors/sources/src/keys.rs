//! Key material a webhook is verified with. Never printed, compared in constant time.

use subtle::ConstantTimeEq;

/// What is configured or fetched for one provider.
#[derive(Default, Clone)]
pub struct Keys {
    /// The unguessable segment of the route, for providers that do not sign.
    pub path_secret: Option<String>,
    /// The OAuth client secret, which several providers sign with.
    pub client_secret: Option<String>,
    /// The value the provider was told to send as `Authorization`.
    pub authorization: Option<String>,
    /// Whether a data delivery without the `Authorization` value is refused although its signature is right.
    pub authorization_required: bool,
    /// The codes of handshakes that ask for a fixed answer.
    pub verification_code: Option<String>,
    /// The key that the provider gave when the webhook was set up, where it signs with one of its own.
    pub signing_key: Option<String>,
    /// Which subscription the calls are of, where the provider numbers them.
    pub subscription: Option<String>,
    /// The published key set, as fetched.
    pub keyset: Option<Vec<u8>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// Equal, in a time that does not tell where the difference is. An unset expectation equals nothing.
pub fn same(expected: Option<&str>, given: &[u8]) -> bool {
    expected.is_some_and(|expected| !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(given)))
}
