//! Calendar months in UTC as `yyyymm` numbers, from and to microseconds since the epoch. Total: no instant is out of range.

const DAY: i64 = 86_400_000_000;

/// The month an instant falls into.
pub fn of(micros: i64) -> i32 {
    let (year, month) = civil(micros.div_euclid(DAY));
    // An i64 of microseconds spans about 292 000 years to both sides: 29 million fits.
    (year * 100 + month) as i32
}

/// The month `months` before this one.
pub fn before(month: i32, months: u32) -> i32 {
    let index = i64::from(month.div_euclid(100)) * 12 + i64::from(month.rem_euclid(100)) - 1 - i64::from(months);
    (index.div_euclid(12) * 100 + index.rem_euclid(12) + 1).clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}

/// The first instant of a month.
pub fn start(month: i32) -> i64 {
    days(i64::from(month.div_euclid(100)), i64::from(month.rem_euclid(100))).saturating_mul(DAY)
}

/// Year and month of a day counted from the epoch, in the proleptic Gregorian calendar. Years begin in March here, so that the leap day is
/// the last of its year, and eras of 400 years all have the same length.
fn civil(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month)
}

/// The first day of a month, counted from the epoch.
fn days(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let from_march = (month + 9) % 12;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * from_march + 2) / 5 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_fall_into_their_months() {
        assert_eq!(of(0), 197_001);
        assert_eq!(of(-1), 196_912);
        assert_eq!(of(1_709_164_800_000_000), 202_402); // 2024-02-29T00:00Z
        assert_eq!(of(1_709_251_199_999_999), 202_402); // the last microsecond of that day
        assert_eq!(of(1_709_251_200_000_000), 202_403);
        assert_eq!(of(951_782_400_000_000), 200_002); // 2000-02-29, a century that has one
        assert_eq!(start(202_403), 1_709_251_200_000_000);
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let mut month = 159_912;
        while month < 260_001 {
            let next = before(month, 0) + if month % 100 == 12 { 89 } else { 1 };
            assert_eq!((of(start(next) - 1), of(start(next))), (month, next));
            assert_eq!(before(next, 1), month);
            month = next;
        }
        assert_eq!(before(202_601, 14), 202_411);
    }

    #[test]
    fn the_ends_of_time_are_months_too() {
        assert!(of(i64::MIN) < of(0) && of(0) < of(i64::MAX));
        assert_eq!(of(start(of(i64::MAX))), of(i64::MAX));
        assert_eq!(of(start(of(i64::MIN))), of(i64::MIN));
    }
}
