//! The data types: names in their three spellings, shape, scope, and which operations they have.

/// How a point of the type carries its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Interval,
    Sample,
    Daily,
    Sleep,
    Exercise,
    /// Other sessions.
    Session,
    /// Can be rolled up but not listed.
    RollUpOnly,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Type {
    /// As in paths.
    pub kebab: &'static str,
    pub shape: Shape,
    pub scope: &'static str,
    /// The number that a correction changes: field, and whether it is an int64 (a string in JSON).
    pub value: Option<(&'static str, bool)>,
    /// Rolled up at most this many days at once; 0: not at all.
    pub roll_up_days: i32,
    /// Has notifications.
    pub announced: bool,
}

const ACTIVITY: &str = "activity_and_fitness";
const HEALTH: &str = "health_metrics_and_measurements";

macro_rules! row {
    ($kebab:literal, $shape:ident, $scope:expr, $value:expr, $days:literal, $announced:literal) => {
        Type { kebab: $kebab, shape: Shape::$shape, scope: $scope, value: $value, roll_up_days: $days, announced: $announced }
    };
}

/// Types with data here come first; the others exist and are empty.
pub(crate) const TYPES: [Type; 33] = [
    row!("steps", Interval, ACTIVITY, Some(("count", true)), 90, true),
    row!("distance", Interval, ACTIVITY, Some(("millimeters", true)), 90, true),
    row!("floors", Interval, ACTIVITY, Some(("count", true)), 90, true),
    row!("active-zone-minutes", Interval, ACTIVITY, Some(("activeZoneMinutes", true)), 90, true),
    row!("heart-rate", Sample, HEALTH, Some(("beatsPerMinute", true)), 14, true),
    row!("heart-rate-variability", Sample, HEALTH, Some(("rootMeanSquareOfSuccessiveDifferencesMilliseconds", false)), 0, true),
    row!("oxygen-saturation", Sample, HEALTH, Some(("percentage", false)), 0, false),
    row!("respiratory-rate-sleep-summary", Sample, HEALTH, None, 0, true),
    row!("weight", Sample, HEALTH, Some(("weightGrams", false)), 90, true),
    row!("body-fat", Sample, HEALTH, Some(("percentage", false)), 90, true),
    row!("height", Sample, HEALTH, Some(("heightMillimeters", true)), 0, true),
    row!("daily-resting-heart-rate", Daily, HEALTH, Some(("beatsPerMinute", true)), 90, true),
    row!("daily-heart-rate-variability", Daily, HEALTH, Some(("averageHeartRateVariabilityMilliseconds", false)), 90, true),
    row!("daily-respiratory-rate", Daily, HEALTH, Some(("breathsPerMinute", false)), 0, true),
    row!("daily-oxygen-saturation", Daily, HEALTH, Some(("averagePercentage", false)), 0, true),
    row!("sleep", Sleep, "sleep", None, 0, true),
    row!("exercise", Exercise, ACTIVITY, None, 0, true),
    row!("total-calories", RollUpOnly, ACTIVITY, None, 14, true),
    row!("calories-in-heart-rate-zone", RollUpOnly, ACTIVITY, None, 14, true),
    row!("altitude", Interval, ACTIVITY, None, 90, true),
    row!("active-minutes", Interval, ACTIVITY, None, 14, true),
    row!("activity-level", Interval, ACTIVITY, None, 90, true),
    row!("basal-energy-burned", Interval, ACTIVITY, None, 0, false),
    row!("sedentary-period", Interval, ACTIVITY, None, 90, true),
    row!("swim-lengths-data", Interval, ACTIVITY, None, 90, false),
    row!("time-in-heart-rate-zone", Interval, ACTIVITY, None, 90, true),
    row!("run-vo2-max", Sample, ACTIVITY, None, 90, true),
    row!("vo2-max", Sample, ACTIVITY, None, 0, false),
    row!("daily-vo2-max", Daily, ACTIVITY, None, 0, false),
    row!("daily-heart-rate-zones", Daily, HEALTH, None, 0, true),
    row!("daily-sleep-temperature-derivations", Daily, HEALTH, None, 0, true),
    row!("hydration-log", Session, "nutrition", None, 90, true),
    row!("nutrition-log", Session, "nutrition", None, 0, true),
];

/// By its name in paths.
pub(crate) fn find(kebab: &str) -> Option<&'static Type> {
    TYPES.iter().find(|kind| kind.kebab == kebab)
}

impl Type {
    /// As in filters.
    pub fn snake(&self) -> String {
        self.kebab.replace('-', "_")
    }

    /// As in JSON.
    pub fn camel(&self) -> String {
        let mut out = String::new();
        for (index, word) in self.kebab.split('-').enumerate() {
            let mut letters = word.chars();
            match letters.next() {
                Some(first) if index > 0 => out.extend(first.to_uppercase()),
                Some(first) => out.push(first),
                None => {}
            }
            out.push_str(letters.as_str());
        }
        out
    }

    /// Most points of one page, and the number where none is asked for.
    pub fn page_sizes(&self) -> (usize, usize) {
        match self.shape {
            Shape::Sleep | Shape::Exercise => (25, 25),
            _ => (10_000, 1_440),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_spellings_follow_from_one_name() {
        let kind = find("active-zone-minutes").unwrap();
        assert_eq!((kind.snake().as_str(), kind.camel().as_str()), ("active_zone_minutes", "activeZoneMinutes"));
        assert_eq!(find("daily-vo2-max").unwrap().camel(), "dailyVo2Max");
    }
}
