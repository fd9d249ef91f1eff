//! Owns: time zones: their names, offsets and transitions, and the display of an instant.
//! Never: the zone of the system (the caller reads `/etc/localtime`).

use jiff::Timestamp as Instant;
use jiff::tz::{TimeZone, db};
use strsim::levenshtein;

use super::calendar::DAY;
use super::parse_error::ParseError;
use super::reading::Reading;
use crate::domain::Timestamp;

/// Two offsets differ by less than this, because each is within 26 hours of UTC. So readings this far apart
/// keep their order.
pub(super) const MARGIN: i64 = 3 * DAY;

/// A time zone; cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    zone: TimeZone,
    name: String,
    /// The offset of a zone that has only one, such as UTC: it saves every lookup.
    fixed: Option<i64>,
}

/// A period in which a zone keeps one offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Seconds ahead of UTC.
    pub(super) offset: i64,
    /// The first second after it.
    pub(super) end: i64,
}

impl Zone {
    pub fn utc() -> Self {
        Self::new(TimeZone::UTC, "UTC")
    }

    /// Finds a zone of the system's tzdata by its IANA name, in any case.
    ///
    /// # Errors
    /// If there is no such zone. The hint names a similar one.
    pub fn named(name: &str) -> Result<Self, ParseError> {
        Self::known(name).ok_or_else(|| unknown(name))
    }

    /// Finds a zone like `named`. A failure is as fast as a success, because it looks for no similar name.
    pub(super) fn known(name: &str) -> Option<Self> {
        let zone = TimeZone::get(name).ok()?;
        let canonical = zone.iana_name().unwrap_or(name).to_owned();
        Some(Self::new(zone, &canonical))
    }

    /// Finds a zone by a value of `TZ`: an IANA name, or a POSIX string.
    ///
    /// # Errors
    /// If it is neither. The error is about the name.
    pub fn read(text: &str) -> Result<Self, ParseError> {
        Self::find(text).ok_or_else(|| unknown(text))
    }

    /// Finds a zone like `read`. A failure is as fast as a success, because it looks for no similar name.
    pub fn find(text: &str) -> Option<Self> {
        Self::known(text).or_else(|| Self::posix(text).ok())
    }

    /// Reads the system's zone from the bytes of `/etc/localtime` (tzfile(5)), with its name if it is known.
    ///
    /// # Errors
    /// If the bytes are not a zone.
    pub fn local(name: Option<&str>, tzif: &[u8]) -> Result<Self, ParseError> {
        let shown = name.unwrap_or("local");
        let zone = TimeZone::tzif(shown, tzif).map_err(|_| {
            ParseError::new(format!("the zone file of `{shown}` is not in the format of tzfile(5)"))
        })?;
        Ok(Self::new(zone, shown))
    }

    /// Reads a POSIX string of the variable TZ, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    ///
    /// # Errors
    /// If the text is not such a string.
    pub fn posix(text: &str) -> Result<Self, ParseError> {
        let zone = TimeZone::posix(text)
            .map_err(|_| ParseError::new(format!("`{text}` is not a zone as POSIX writes them in `TZ`")))?;
        Ok(Self::new(zone, text))
    }

    fn new(zone: TimeZone, name: &str) -> Self {
        let fixed = zone.to_fixed_offset().ok().map(|offset| i64::from(offset.seconds()));
        Self { zone, name: name.to_owned(), fixed }
    }

    /// Returns the IANA name, `local`, or the POSIX string.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns an instant as a clock in this zone shows it, with the offset: `2026-03-02 03:15:00 +0100`.
    pub fn show(&self, at: Timestamp) -> String {
        let offset = self.offset(at.as_seconds());
        let (sign, ahead) = if offset < 0 { ('-', -offset) } else { ('+', offset) };
        let reading = Reading::from_seconds(at.as_seconds() + offset);
        let mut text = format!("{reading} {sign}{:02}{:02}", ahead / 3_600, ahead / 60 % 60);
        // Local mean times before about 1900 are not whole minutes from UTC.
        if ahead % 60 != 0 {
            text.push_str(&format!("{:02}", ahead % 60));
        }
        text
    }

    /// Returns the time that a clock in this zone shows at an instant.
    pub fn reading(&self, at: Timestamp) -> Reading {
        Reading::from_seconds(at.as_seconds() + self.offset(at.as_seconds()))
    }

    /// Returns how many seconds this zone is ahead of UTC at this second.
    pub(super) fn offset(&self, at: i64) -> i64 {
        self.fixed.unwrap_or_else(|| i64::from(self.zone.to_offset(instant(at)).seconds()))
    }

    /// Returns the segment of this second. Neighbouring segments may have the same offset.
    pub(super) fn segment(&self, at: i64) -> Segment {
        if let Some(offset) = self.fixed {
            return Segment { offset, end: i64::MAX };
        }
        let instant = instant(at);
        let next = self.zone.following(instant).next();
        Segment {
            offset: i64::from(self.zone.to_offset(instant).seconds()),
            // Beyond jiff's range there are no transitions. The filter keeps searches from standing still.
            end: next
                .map(|transition| transition.timestamp().as_second())
                .filter(|end| *end > at)
                .unwrap_or(i64::MAX),
        }
    }

    /// Returns the segments from a second on, each with its first second that is not before that.
    pub(super) fn segments(&self, from: i64) -> impl Iterator<Item = (i64, Segment)> {
        let mut next = Some(from);
        // Not `successors`, which would look up one segment too many.
        std::iter::from_fn(move || {
            let from = next?;
            let segment = self.segment(from);
            next = (segment.end < i64::MAX).then_some(segment.end);
            Some((from, segment))
        })
    }

    /// Returns whether this second is in the zone's daylight saving time.
    pub(super) fn is_saving(&self, at: i64) -> bool {
        self.zone.to_offset_info(instant(at)).dst().is_dst()
    }

    /// Returns the first second, not before `earliest`, at which a clock in this zone shows `reading` or has
    /// jumped over it: the earlier one in a fold, the transition for a gap.
    pub(super) fn reach(&self, reading: i64, earliest: i64) -> i64 {
        let at = |from: i64, segment: Segment| (reading - segment.offset).max(from);
        self.segments(earliest.max(reading - MARGIN))
            .find_map(|(from, segment)| Some(at(from, segment)).filter(|at| *at < segment.end))
            .expect("the last segment has no end")
    }
}

/// Converts to jiff's type, whose range ends 26 hours before ours.
fn instant(at: i64) -> Instant {
    let at = at.clamp(Instant::MIN.as_second(), Instant::MAX.as_second());
    Instant::from_second(at).expect("it was clamped to the range")
}

fn unknown(name: &str) -> ParseError {
    let hint = similar(name).map(|near| format!("did you mean `{near}`?"));
    ParseError { hint, ..ParseError::new(format!("`{name}` is not a zone of this machine's tzdata")) }
}

/// Returns the zone whose name, or whose last part, is nearest to a text, if it is near.
fn similar(text: &str) -> Option<String> {
    let wanted = text.to_ascii_lowercase().replace(' ', "_");
    if wanted.is_empty() || wanted.len() > 64 {
        return None;
    }
    let distance = |zone: &str| {
        let zone = zone.to_ascii_lowercase();
        let city = zone.rsplit('/').next().unwrap_or(&zone);
        levenshtein(&wanted, &zone).min(levenshtein(&wanted, city))
    };
    let (score, zone) =
        db().available().map(|zone| (distance(zone.as_str()), zone.as_str().to_owned())).min()?;
    (score <= 2 && score * 2 < wanted.len()).then_some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn an_instant_is_shown_with_its_offset() {
        let berlin = Zone::named("Europe/Berlin").expect("in every tzdata");
        assert_eq!(berlin.show(at(1_772_417_700)), "2026-03-02 03:15:00 +0100");
        assert_eq!(berlin.reading(at(1_772_417_700)).weekday(), "Mon");
        assert_eq!(Zone::utc().show(at(-1)), "1969-12-31 23:59:59 +0000");
        let nepal = Zone::named("Asia/Kathmandu").expect("in every tzdata");
        assert_eq!(nepal.show(at(0)), "1970-01-01 05:30:00 +0530");
        assert_eq!(
            Zone::named("America/New_York").expect("in every tzdata").show(at(0)),
            "1969-12-31 19:00:00 -0500"
        );
        assert_eq!(berlin.show(Timestamp::MIN), "0001-01-01 00:53:28 +005328");
        assert_eq!(Zone::utc().show(Timestamp::MAX), "9999-12-31 23:59:59 +0000");
    }

    #[test]
    fn an_unknown_zone_is_refused_with_a_similar_one() {
        let refusal = Zone::named("Europe/Pariss").expect_err("no such zone");
        assert_eq!(refusal.to_string(), "`Europe/Pariss` is not a zone of this machine's tzdata");
        assert_eq!(refusal.hint.as_deref(), Some("did you mean `Europe/Paris`?"));
        assert_eq!(
            Zone::named("paris").expect_err("no").hint.as_deref(),
            Some("did you mean `Europe/Paris`?")
        );
        for bad in ["", "/etc/localtime", "../zoneinfo/UTC", "Nowhere/At_All_Near", "é"] {
            assert!(Zone::named(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_zone_has_the_name_of_the_database_whatever_the_case() {
        assert_eq!(Zone::named("europe/berlin").expect("in every tzdata").name(), "Europe/Berlin");
        assert_eq!(Zone::named("utc").expect("always there").name(), "UTC");
    }

    #[test]
    fn a_posix_string_and_a_zone_file_make_zones() {
        let posix = Zone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a POSIX string");
        assert_eq!(posix.show(at(1_782_864_000)), "2026-07-01 02:00:00 +0200");
        assert!(Zone::posix("certainly not").is_err());
        assert!(Zone::local(None, b"certainly not").is_err());
    }
}
