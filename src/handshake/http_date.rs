//! Dates of HTTP (RFC 9110 section 5.6.7).

/// The seconds since 1970 that a date stands for; `now`, in the same, tells which century a year of two digits is in.
/// `None` if it is no date, or an earlier one.
///
/// "A recipient that parses a timestamp value in an HTTP field MUST accept all three HTTP-date formats." (RFC 9110
/// section 5.6.7) They differ in the order of the parts, and in what is between them. The day of the week and the zone,
/// which is always GMT, are not looked at.
pub(super) fn parse(date: &str, now: u64) -> Option<u64> {
    let mut parts = date.split([' ', ',', '-']).filter(|part| !part.is_empty()).skip(1);
    let parts = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let [day, month, year, time] = match parts {
        [month, day, time, year] if time.contains(':') => [day, month, year, time],
        parts => parts,
    };
    let month = MONTHS.iter().position(|(name, _)| *name == month)?;
    let year = match number(year)? {
        short if year.len() == 2 => full_year(short, now),
        year => year,
    };
    let mut time = time.split(':').map(number);
    let [hour, minute, second] = [time.next()??, time.next()??, time.next()??];
    let day = number(day)?;
    if time.next().is_some()
        || !(1970..=9999).contains(&year)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
}

/// "Recipients of a timestamp value in rfc850-date format, which uses a two-digit year, MUST interpret a timestamp that
/// appears to be more than 50 years in the future as representing the most recent year in the past that had the same last
/// two digits." (RFC 9110 section 5.6.7)
fn full_year(short: u64, now: u64) -> u64 {
    let latest = 1970 + now / SECONDS_OF_A_YEAR + 50;
    let year = latest / 100 * 100 + short;
    if year > latest { year.saturating_sub(100) } else { year }
}

/// From the first of January 1970 to a day of that year or later.
fn days(year: u64, month: usize, day: u64) -> u64 {
    let leap_days = |years: u64| years / 4 - years / 100 + years / 400;
    let is_leap = leap_days(year) > leap_days(year - 1);
    let years = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969);
    years + MONTHS[month].1 + u64::from(is_leap && month > 1) + day - 1
}

/// Of at most four digits.
fn number(text: &str) -> Option<u64> {
    let is_number = text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// The months, and how many days of a year are before each.
const MONTHS: [(&str, u64); 12] = [
    ("Jan", 0),
    ("Feb", 31),
    ("Mar", 59),
    ("Apr", 90),
    ("May", 120),
    ("Jun", 151),
    ("Jul", 181),
    ("Aug", 212),
    ("Sep", 243),
    ("Oct", 273),
    ("Nov", 304),
    ("Dec", 334),
];

/// On average.
const SECONDS_OF_A_YEAR: u64 = 31_556_952;
