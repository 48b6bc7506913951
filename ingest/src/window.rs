//! Which windows a hint means. Windows are aligned to multiples of their length since the epoch, so that a re-read asks the same question again
//! and an unchanged answer is recognised.

use headwater_sources::profile::Poll;
use headwater_sources::source::Window;

const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;

/// The aligned windows that cover `span`, oldest first.
pub(crate) fn aligned(poll: &Poll, span: Window) -> Vec<Window> {
    let length = i64::from(poll.window_days.max(1)) * DAY;
    let mut start = span.start.max(0).div_euclid(length) * length;
    let mut windows = Vec::new();
    while start < span.end {
        windows.push(Window { start, end: start + length });
        start += length;
    }
    windows
}

/// What a hint without a window means: the trailing hours, and everything since the cursor.
pub(crate) fn trailing(poll: &Poll, cursor: Option<i64>, now: i64) -> Window {
    let back = now - i64::from(poll.trailing_hours) * HOUR;
    Window { start: cursor.map_or(back, |cursor| cursor.min(back)), end: now }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLL: Poll = Poll { window_days: 7, trailing_hours: 48, reconcile: true };

    #[test]
    fn windows_cover_the_span_without_gap_or_overlap() {
        let span = Window { start: 1_700_000_000_000_000, end: 1_703_000_000_000_000 };
        let windows = aligned(&POLL, span);
        assert!(windows[0].start <= span.start && windows[windows.len() - 1].end >= span.end);
        assert!(windows.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert!(windows.iter().all(|w| w.start % (7 * DAY) == 0));
    }

    #[test]
    fn another_hour_of_the_same_day_asks_the_same_question() {
        let at = |now| aligned(&POLL, trailing(&POLL, None, now));
        assert_eq!(at(1_700_000_000_000_000), at(1_700_000_000_000_000 + HOUR));
    }

    #[test]
    fn a_cursor_that_lags_widens_the_window_and_one_that_leads_does_not_narrow_it() {
        let now = 1_700_000_000_000_000;
        assert_eq!(trailing(&POLL, Some(now - 90 * HOUR), now).start, now - 90 * HOUR);
        assert_eq!(trailing(&POLL, Some(now), now).start, now - 48 * HOUR);
    }
}
