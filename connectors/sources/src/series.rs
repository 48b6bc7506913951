//! Evenly spaced series as SampledData, in pieces that a resource can hold.

use std::borrow::Cow;
use std::fmt::Write as _;

use headwater_schemas::reading::{Samples, Stamp};
use headwater_schemas::reject::{Reject, code};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

/// The most samples of one resource. Half a minute of ECG at 500 Hz (15 000) and a day in steps of five seconds (17 280) stay whole, and what
/// they come to stays far below what a broker takes, although a record holds them twice.
pub const MOST: usize = 18_000;

const MONTH: i64 = 31 * 86_400_000_000;

/// A piece of a series. Pieces are counted off from the series' own beginning, so that one that grows at its end leaves those before as they
/// were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Of the first piece that of the whole; later ones are named by their start besides.
    pub record_id: Cow<'a, str>,
    pub start: Stamp,
    /// When the last sample was taken.
    pub last: Stamp,
    /// When the next one would have been.
    pub end: Stamp,
    pub samples: Samples<'static>,
}

/// Puts samples into pieces; `None` is a gap. A piece of gaps only is left out.
///
/// # Errors
/// `implausible` when the series is longer than a month; what a sample's own reading says.
pub fn pieces<'a>(
    record_id: &Cow<'a, str>,
    start: Stamp,
    period_ms: Decimal,
    samples: impl IntoIterator<Item = Result<Option<Decimal>, Reject>>,
) -> Result<Vec<Piece<'a>>, Reject> {
    let mut samples = samples.into_iter();
    let mut pieces = Vec::new();
    for first in (0..).step_by(MOST) {
        let (mut data, mut count, mut known) = (String::new(), 0, false);
        for sample in samples.by_ref().take(MOST) {
            let gap = if count == 0 { "" } else { " " };
            let sample = sample?;
            match sample {
                Some(number) => write!(data, "{gap}{number}"),
                None => write!(data, "{gap}E"),
            }
            .expect("a string takes all");
            known |= sample.is_some();
            count += 1;
        }
        if known {
            let from = moment(start, period_ms, first)?;
            pieces.push(Piece {
                record_id: name(record_id, from, first),
                start: from,
                last: moment(start, period_ms, first + count - 1)?,
                end: moment(start, period_ms, first + count)?,
                samples: Samples { period_ms, data: Cow::Owned(data) },
            });
        }
        if count < MOST {
            break;
        }
    }
    Ok(pieces)
}

fn name<'a>(whole: &Cow<'a, str>, start: Stamp, first: usize) -> Cow<'a, str> {
    if first == 0 { whole.clone() } else { format!("{whole}:{}", start.micros.div_euclid(1000)).into() }
}

fn moment(start: Stamp, period_ms: Decimal, index: usize) -> Result<Stamp, Reject> {
    let micros = period_ms.checked_mul(Decimal::from(index)).and_then(|ms| ms.checked_mul(Decimal::ONE_THOUSAND));
    let micros = micros.and_then(|micros| micros.round().to_i64()).filter(|micros| (0..=MONTH).contains(micros));
    let micros = micros.and_then(|micros| start.micros.checked_add(micros));
    let micros = micros.ok_or_else(|| Reject::new(code::IMPLAUSIBLE, "expected a series within a month"))?;
    Ok(Stamp { micros, ..start })
}

#[cfg(test)]
mod tests {
    use headwater_schemas::observation::OffsetOrigin;

    use super::*;

    const START: Stamp = Stamp { micros: 1_792_972_800_000_000, offset: Some(3600), origin: OffsetOrigin::Source };

    fn counted(from: usize, to: usize) -> Vec<Result<Option<Decimal>, Reject>> {
        (from..to).map(|n| Ok(Some(Decimal::from(n)))).collect()
    }

    fn of(samples: Vec<Result<Option<Decimal>, Reject>>, period_ms: Decimal) -> Vec<Piece<'static>> {
        pieces(&"r".into(), START, period_ms, samples).expect("a series")
    }

    #[test]
    fn what_a_resource_can_hold_stays_whole_under_its_own_id() {
        let whole = of(counted(0, MOST), Decimal::from(5000));
        assert_eq!((whole.len(), &*whole[0].record_id, whole[0].start), (1, "r", START));
        assert!(of(vec![], Decimal::ONE).is_empty() && of(vec![Ok(None), Ok(None)], Decimal::ONE).is_empty());
    }

    #[test]
    fn a_long_ecg_is_pieces_that_join_without_losing_a_sample() {
        let all = of(counted(0, 100_000), Decimal::TWO);
        assert_eq!(all.len(), 6);
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start && pair[0].record_id != pair[1].record_id));
        assert_eq!(all[5].end.micros - START.micros, 200_000_000);
        let read: Vec<usize> = all.iter().flat_map(|p| p.samples.data.split(' ')).map(|n| n.parse().unwrap()).collect();
        assert!(read.into_iter().eq(0..100_000));
        assert_eq!(all[1].record_id, "r:1792972836000", "36 s on, in milliseconds");
    }

    #[test]
    fn a_day_at_a_second_has_the_same_pieces_before_and_after_it_grows() {
        let (morning, evening) = (of(counted(0, 40_000), 1000.into()), of(counted(0, 86_400), 1000.into()));
        assert_eq!((morning.len(), evening.len()), (3, 5));
        assert_eq!(morning[..2], evening[..2]);
        assert_eq!(morning[2].record_id, evening[2].record_id, "the one that was under way is told again");
        assert_ne!(morning[2].samples, evening[2].samples);
    }

    #[test]
    fn a_piece_of_gaps_is_left_out_and_the_next_stands_where_it_was() {
        let samples = (0..MOST).map(|_| Ok(None)).chain([Ok(None), Ok(Some(Decimal::ONE))]).collect();
        let [piece] = &of(samples, 1000.into())[..] else { panic!("one piece") };
        assert_eq!((&*piece.samples.data, piece.start.micros - START.micros), ("E 1", 18_000_000_000));
        assert_eq!(piece.last.micros - piece.start.micros, 1_000_000);
    }

    #[test]
    fn a_series_of_years_is_refused_and_so_is_one_with_a_broken_sample() {
        let long = pieces(&"r".into(), START, Decimal::from(86_400_000), counted(0, 33));
        assert_eq!(long.unwrap_err().code, code::IMPLAUSIBLE);
        let broken = vec![Ok(Some(Decimal::ONE)), Err(Reject::new(code::BAD_NUMBER, "no number"))];
        assert_eq!(pieces(&"r".into(), START, Decimal::ONE, broken).unwrap_err().code, code::BAD_NUMBER);
        assert!(pieces(&"r".into(), START, Decimal::MAX, counted(0, 3)).is_err());
    }
}
