//! Numbers, durations and sizes with units. A bare number has the unit in which the flag's old name
//! ended: `--request-timeout-ms 2000` is `--request-timeout 2s`.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;

use super::InvalidSetting;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

const MIB: u64 = 1 << 20;

/// A count.
pub(super) fn count(
    within: RangeInclusive<u32>,
) -> impl Fn(&str) -> Result<u32, InvalidSetting> + Clone {
    move |text| match text.parse() {
        Ok(number) if within.contains(&number) => Ok(number),
        _ => Err(InvalidSetting::new(
            format!(
                "`{text}` is not a whole number between {} and {}",
                within.start(),
                within.end()
            ),
            "write another number",
        )),
    }
}

/// A switch.
pub(super) fn switch(text: &str) -> Result<bool, InvalidSetting> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => {
            let problem = format!("`{text}` is neither true nor false");
            Err(InvalidSetting::new(problem, "write true or false"))
        }
    }
}

/// A timeout. More than a day is a mistake.
pub(super) fn timeout(text: &str) -> Result<Duration, InvalidSetting> {
    duration(text, MILLISECOND, DAY)
}

/// A retention time.
pub(super) fn retention(text: &str) -> Result<Duration, InvalidSetting> {
    duration(text, SECOND, 365 * DAY)
}

/// A time of whole seconds for caches, a minute at most. None at all is good, too.
pub(super) fn cache(text: &str) -> Result<Duration, InvalidSetting> {
    match text {
        "0" | "0s" => Ok(Duration::ZERO),
        text => duration(text, SECOND, 60 * SECOND),
    }
}

/// A time of whole seconds, a day at most.
pub(super) fn window(text: &str) -> Result<Duration, InvalidSetting> {
    duration(text, SECOND, DAY)
}

/// A size; a bare number is in bytes.
pub(super) fn bytes(
    within: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<ByteSize, InvalidSetting> + Clone {
    move |text| size(text, 1, &within)
}

/// A size; a bare number is in MiB.
pub(super) fn mebibytes(text: &str) -> Result<ByteSize, InvalidSetting> {
    size(text, MIB, &(MIB..=MIB << 20))
}

/// Parses `1h 30m`, `2s` or `500ms`. A bare number is in `unit`.
fn duration(text: &str, unit: Duration, most: Duration) -> Result<Duration, InvalidSetting> {
    let read = match text.parse::<u64>() {
        Ok(number) => Some(u32::try_from(number).map_or(Duration::MAX, |number| unit * number)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    let Some(read) = read else {
        return Err(InvalidSetting::new(
            format!("`{text}` is not a duration"),
            "write a number and a unit, such as 500ms, 2s or 1h 30m",
        ));
    };
    if read < unit || read > most || read.as_nanos() % unit.as_nanos() != 0 {
        let (least, most) = (show_duration(unit), show_duration(most));
        return Err(InvalidSetting::new(
            format!("`{text}` is not between {least} and {most}, in steps of {least}"),
            "write another duration",
        ));
    }
    Ok(read)
}

/// Parses `64KiB`. A bare number is in `unit` bytes.
fn size(text: &str, unit: u64, within: &RangeInclusive<u64>) -> Result<ByteSize, InvalidSetting> {
    let read = match text.parse::<u64>() {
        Ok(number) => Some(ByteSize(number.saturating_mul(unit))),
        Err(_) => text.parse::<ByteSize>().ok(),
    };
    let Some(read) = read else {
        return Err(InvalidSetting::new(
            format!("`{text}` is not a size"),
            "write a number and a unit, such as 512B, 64KiB or 1GiB",
        ));
    };
    if within.contains(&read.as_u64()) {
        return Ok(read);
    }
    let [least, most] = [*within.start(), *within.end()].map(|bytes| show_size(ByteSize(bytes)));
    Err(InvalidSetting::new(
        format!("`{text}` is not between {least} and {most}"),
        "write another size",
    ))
}

pub(super) fn show_duration(duration: Duration) -> String {
    // humantime counts a year as 365.25 days, so we write long times in days.
    match duration.as_secs() {
        seconds if duration > DAY && seconds % 86_400 == 0 => format!("{}days", seconds / 86_400),
        _ => humantime::format_duration(duration).to_string(),
    }
}

/// The size in the largest unit that needs no fraction.
pub(super) fn show_size(size: ByteSize) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (size.as_u64().trailing_zeros() / 10).min(4) as usize;
    let power = if size.as_u64() == 0 { 0 } else { power };
    format!("{}{}", size.as_u64() >> (10 * power), units[power])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_numbers_with_units_and_a_bare_number_keeps_its_unit() {
        for (text, millis) in [
            ("2s", 2000),
            ("2 s", 2000),
            ("2000", 2000),
            ("1500ms", 1500),
            ("1.5s", 1500),
            ("1m 30s", 90_000),
            ("1h30m", 5_400_000),
            ("1day", 86_400_000),
        ] {
            assert_eq!(timeout(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!(retention("600"), Ok(Duration::from_secs(600)));
        assert_eq!(retention("10m"), retention("600s"));
        for (text, word) in [
            ("", "not a duration"),
            ("-1s", "not a duration"),
            ("-1", "not a duration"),
            ("2h30", "not a duration"),
            ("2 parsecs", "not a duration"),
            ("s", "not a duration"),
            ("0", "between 1ms and 1day"),
            ("0s", "between 1ms and 1day"),
            ("25h", "between 1ms and 1day"),
            ("1500us", "in steps of 1ms"),
            ("99999999999", "between 1ms and 1day"),
        ] {
            let why = timeout(text).expect_err(text).to_string();
            assert!(why.contains(word), "{text}: {why}");
        }
        let why = retention("1500ms").expect_err("half a second").to_string();
        assert!(why.contains("between 1s and 365days, in steps of 1s"), "{why}");
    }

    #[test]
    fn a_size_is_a_number_with_a_unit_and_a_bare_number_keeps_its_unit() {
        let body = bytes(1..=MIB);
        for (text, size) in
            [("65536", 65_536), ("64KiB", 65_536), ("64 KiB", 65_536), ("64kB", 64_000), ("1B", 1)]
        {
            assert_eq!(body(text), Ok(ByteSize(size)), "{text}");
        }
        assert_eq!(mebibytes("128"), mebibytes("128MiB"));
        assert_eq!(mebibytes("1GiB"), mebibytes("1024"));
        for (text, word) in [
            ("-1", "not a size"),
            ("64 KoB", "not a size"),
            ("KiB", "not a size"),
            ("0", "between 1B and 1MiB"),
            ("2MiB", "between 1B and 1MiB"),
        ] {
            let why = body(text).expect_err(text).to_string();
            assert!(why.contains(word), "{text}: {why}");
        }
        assert!(mebibytes("18446744073709551615").is_err());
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for text in ["1ms", "2s 500ms", "1m 30s", "10m", "1h", "1day"] {
            let read = timeout(text).expect(text);
            assert_eq!(show_duration(read), text);
        }
        assert_eq!(show_duration(365 * DAY), "365days");
        assert_eq!(retention("365days"), Ok(365 * DAY));
        for text in ["1B", "1000B", "64KiB", "1536MiB", "1GiB", "1TiB", "1023B"] {
            let read = bytes(0..=u64::MAX)(text).expect(text);
            assert_eq!(show_size(read), text);
        }
    }
}
