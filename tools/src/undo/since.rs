//! Since when: `1h`, `today`, `10:00`, `2026-01-05`, `2026-01-05 10:00`.

use jiff::civil::{Date, DateTime, Time};
use jiff::{ToSpan as _, Zoned};

/// The seconds since 1970 that this names, seen from `now`. A time of day that is still to come is yesterday's. None for what
/// is no time.
pub fn since(word: &str, now: &Zoned) -> Option<i64> {
    let word = word.trim();
    let at = |when: DateTime| Some(when.to_zoned(now.time_zone().clone()).ok()?.timestamp().as_second());
    match word {
        "today" => return at(now.date().to_datetime(Time::midnight())),
        "yesterday" => return at(now.date().yesterday().ok()?.to_datetime(Time::midnight())),
        _ => {}
    }
    if let Some(seconds) = ago(word) {
        return now.timestamp().as_second().checked_sub(seconds);
    }
    if let Some(time) = time(word) {
        let today = now.date().to_datetime(time);
        let past = today <= now.datetime();
        return at(if past { today } else { today.checked_sub(1.day()).ok()? });
    }
    let (day, time_of_day) = word.split_once([' ', 'T']).unwrap_or((word, "00:00"));
    let day: Date = day.parse().ok()?;
    at(day.to_datetime(time(time_of_day)?))
}

/// `90s`, `30m`, `1h`, `2d`, `1w`, in seconds.
pub(crate) fn ago(word: &str) -> Option<i64> {
    let (unit, seconds) = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)]
        .into_iter()
        .find(|(unit, _)| word.ends_with(*unit))?;
    let number = word.strip_suffix(unit)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<i64>().ok()?.checked_mul(seconds)
}

/// `10:00`, `9:05`, `10:00:30`.
fn time(word: &str) -> Option<Time> {
    let parts: Vec<&str> = word.split(':').collect();
    if !(2..=3).contains(&parts.len()) || parts.iter().any(|part| part.is_empty() || part.len() > 2) {
        return None;
    }
    let numbers: Vec<i8> = parts.iter().map(|part| part.parse().ok()).collect::<Option<_>>()?;
    Time::new(numbers[0], numbers[1], numbers.get(2).copied().unwrap_or(0), 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seen_from_now() {
        let now: Zoned = "2026-01-05T09:30:00+01:00[+01:00]".parse().expect("a time");
        let when = |word: &str| {
            let seconds = since(word, &now)?;
            let stamp = jiff::Timestamp::from_second(seconds).expect("a time");
            Some(stamp.to_zoned(now.time_zone().clone()).strftime("%m-%d %H:%M:%S").to_string())
        };
        for (word, expected) in [
            ("1h", "01-05 08:30:00"),
            ("90s", "01-05 09:28:30"),
            ("30m", "01-05 09:00:00"),
            ("2d", "01-03 09:30:00"),
            ("1w", "12-29 09:30:00"),
            ("today", "01-05 00:00:00"),
            ("yesterday", "01-04 00:00:00"),
            ("9:05", "01-05 09:05:00"),
            ("10:00", "01-04 10:00:00"),
            ("2026-01-02", "01-02 00:00:00"),
            ("2026-01-02 10:00", "01-02 10:00:00"),
            ("2026-01-02T10:00:05", "01-02 10:00:05"),
        ] {
            assert_eq!(when(word).as_deref(), Some(expected), "{word}");
        }
        for word in ["", "h", "1x", "25:00", "10:", "-1h", "soon", "2026-13-01", "10:00:00:00", "99999999999999999999d"]
        {
            assert_eq!(when(word), None, "{word}");
        }
    }
}
