//! SNOMED CT codes for kinds of devices. This one file may be removed where no SNOMED CT licence covers its use; devices then keep the
//! provider's words only.
//!
//! This material includes SNOMED Clinical Terms (SNOMED CT) concept identifiers, used by permission of SNOMED International; their use needs a
//! licence in countries that are no members. Several codes that circulate for wearables mean other things (466093008 is a stationary blood
//! pressure machine, 43770009 a Doppler device, 86184003 an ECG recorder); those below were checked against international value sets.

pub const SNOMED: &str = "http://snomed.info/sct";

/// Words in a provider's name for a kind of device, lower case, and the concept. The first that fits counts.
static KINDS: &[(&str, &str)] = &[
    ("blood pressure", "258057004"), // non-invasive blood pressure monitor
    ("thermometer", "706158001"),    // electronic patient thermometer
    ("oximeter", "448703006"),       // pulse oximeter
    ("scale", "19892000"),           // scale, device
    ("tracker", "706767009"),        // patient data recorder: no term for a tracker is known
    ("watch", "706767009"),
    ("band", "706767009"),
];

/// The concept for a provider's word, where one fits.
pub fn concept(kind: &str) -> Option<&'static str> {
    let kind = kind.to_lowercase();
    KINDS.iter().find(|(word, _)| kind.contains(word)).map(|(_, concept)| *concept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verhoeff's check over the whole number, its last digit included.
    fn verhoeff(number: &str) -> bool {
        const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
        // Multiplication in the dihedral group of ten elements.
        let times = |a: u8, b: u8| match (a < 5, b < 5) {
            (true, true) => (a + b) % 5,
            (true, false) => (a + b - 5) % 5 + 5,
            (false, true) => (a - 5 + 5 - b) % 5 + 5,
            (false, false) => (a + 5 - b) % 5,
        };
        let permuted = |digit: u8, times: usize| (0..times % 8).fold(digit, |d, _| PERMUTATION[usize::from(d)]);
        number.bytes().rev().enumerate().fold(0, |check, (place, byte)| times(check, permuted(byte - b'0', place))) == 0
    }

    #[test]
    fn every_concept_has_a_right_check_digit() {
        for (word, concept) in KINDS {
            assert!(verhoeff(concept), "{concept} of {word}");
        }
    }

    #[test]
    fn an_identifier_that_circulates_but_does_not_exist_fails_the_check() {
        assert!(verhoeff("49062001") && verhoeff("466086009") && !verhoeff("258185003"));
    }

    #[test]
    fn a_tracker_is_never_labelled_a_blood_pressure_cuff() {
        assert_eq!(concept("Activity Tracker"), Some("706767009"));
        assert_eq!(concept("Blood Pressure Monitor"), Some("258057004"));
        assert_eq!(concept("Sleep Monitor"), None);
    }
}
