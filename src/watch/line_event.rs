//! Owns: a line of a command → an event with its data.
//! Never: reading lines, or counting events.
//!
//! The data is a JSON object: `{"line":"…","groups":{"NAME":"…"},"cut":true}`. `groups` is there if the
//! trigger has a pattern with named groups, `cut` if a part of the line or of a group is left out.

use regex::bytes::Regex;

use super::line_reader::Line;
use crate::domain::{Occurrence, StreamSource, Timestamp};

/// The longest name of an event, in characters.
const NAME_CHARS_MAX: usize = 200;

/// The part of the data that the groups may take.
const GROUPS_BYTES_MAX: usize = Occurrence::DATA_BYTES_MAX / 2;

/// An event of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineEvent {
    pub occurrence: Occurrence,
    /// The line does not match. Several such lines in a row are one event with their count, and the last
    /// one's data.
    pub is_opposite: bool,
}

/// Which lines of a command are events.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    name: String,
    pattern: Option<Regex>,
    with_opposites: bool,
}

impl Filter {
    /// `with_opposites`: lines that do not match are events too.
    ///
    /// # Errors
    /// If the pattern is none, or takes too much memory.
    pub(super) fn new(source: &StreamSource, with_opposites: bool) -> Result<Self, regex::Error> {
        let pattern = source.pattern.as_deref().map(Regex::new).transpose()?;
        Ok(Self { name: name_of(&source.command), pattern, with_opposites })
    }

    /// Adds the event that a line is, if it is one.
    pub(super) fn add(&self, line: &Line, at: Timestamp, events: &mut Vec<LineEvent>) {
        let is_opposite = match &self.pattern {
            Some(pattern) => !pattern.is_match(&line.bytes),
            None => false,
        };
        if is_opposite && !self.with_opposites {
            return;
        }
        let before = if is_opposite { events.pop_if(|event| event.is_opposite) } else { None };
        let data = match &self.pattern {
            Some(pattern) if !is_opposite => data(line, &groups(pattern, line)),
            Some(_) | None => data(line, &[]),
        };
        let count = before.map_or(0, |event| event.occurrence.count) + 1;
        let occurrence = Occurrence { at, name: self.name.clone(), data: Some(data), count, depth: 0 };
        events.push(LineEvent { occurrence, is_opposite });
    }
}

/// Returns the first line of a script that says something, at most so many characters of it.
pub(super) fn name_of(script: &str) -> String {
    let line = script.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(NAME_CHARS_MAX).collect()
}

/// Returns bytes as text without NUL: what is not UTF-8 and NUL become U+FFFD.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// A named group of a pattern, and what it has matched.
type Group<'a> = (&'a str, Option<String>);

fn groups<'a>(pattern: &'a Regex, line: &Line) -> Vec<Group<'a>> {
    // Most patterns have none, and finding groups takes longer than finding a match.
    if pattern.capture_names().flatten().next().is_none() {
        return Vec::new();
    }
    let Some(captures) = pattern.captures(&line.bytes) else { return Vec::new() };
    let named = pattern.capture_names().flatten();
    named.map(|name| (name, captures.name(name).map(|group| text(group.as_bytes())))).collect()
}

/// Returns the data of a line, at most `DATA_BYTES_MAX` long. Groups that do not fit are cut or left out, and
/// the line has the rest.
fn data(line: &Line, groups: &[Group<'_>]) -> String {
    let mut object = Object { json: String::from("{"), is_cut: line.is_cut };
    let mut head = Object { json: String::new(), is_cut: false };
    if !groups.is_empty() {
        head.json.push_str(",\"groups\":{");
        for (number, (name, value)) in groups.iter().enumerate() {
            head.push_group(number > 0, name, value.as_deref());
        }
        head.json.push('}');
    }
    object.is_cut |= head.is_cut;
    let rest = r#""line":"","cut":true}"#.len() + head.json.len();
    object.json.push_str("\"line\":");
    object.push_text(&text(&line.bytes), Occurrence::DATA_BYTES_MAX - rest - 1);
    object.json.push_str(&head.json);
    if object.is_cut {
        object.json.push_str(",\"cut\":true");
    }
    object.json.push('}');
    object.json
}

/// A JSON object that is being written.
struct Object {
    json: String,
    is_cut: bool,
}

impl Object {
    fn push_group(&mut self, has_others: bool, name: &str, value: Option<&str>) {
        let key = format!("{}{}:", if has_others { "," } else { "" }, quoted(name));
        let least = key.len() + "null".len();
        let Some(room) = GROUPS_BYTES_MAX.checked_sub(self.json.len() + least) else {
            self.is_cut = true;
            return;
        };
        self.json.push_str(&key);
        match value {
            Some(value) => self.push_text(value, room),
            None => self.json.push_str("null"),
        }
    }

    /// Adds a string of at most so many bytes between its quotes.
    fn push_text(&mut self, text: &str, bytes_max: usize) {
        let mut room = bytes_max;
        let first_left_out = text.char_indices().find(|(_, c)| match room.checked_sub(json_bytes(*c)) {
            Some(rest) => {
                room = rest;
                false
            }
            None => true,
        });
        let end = first_left_out.map_or(text.len(), |(at, _)| at);
        self.is_cut |= end < text.len();
        self.json.push_str(&quoted(&text[..end]));
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("any text is a JSON string")
}

/// Returns how many bytes a character has in a string of JSON.
fn json_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..' ' => 6,
        _ => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::Span;

    fn filter(pattern: Option<&str>, with_opposites: bool) -> Filter {
        let (command, pattern) = ("journalctl -f\n# more".to_owned(), pattern.map(str::to_owned));
        let source = StreamSource { command, pattern, restart: Span::ZERO };
        Filter::new(&source, with_opposites).expect("the pattern is one")
    }

    fn events(filter: &Filter, lines: &[&[u8]]) -> Vec<LineEvent> {
        let mut events = Vec::new();
        for bytes in lines {
            let line = Line { bytes: bytes.to_vec(), is_cut: false };
            filter.add(&line, Timestamp::from_seconds(9), &mut events);
        }
        events
    }

    /// Returns the count, whether it is the opposite, and the data of each event.
    fn told(filter: &Filter, lines: &[&[u8]]) -> Vec<(u64, bool, Value)> {
        let told = |event: LineEvent| {
            let data = event.occurrence.data.expect("a line has data");
            (event.occurrence.count, event.is_opposite, serde_json::from_str(&data).expect("it is JSON"))
        };
        events(filter, lines).into_iter().map(told).collect()
    }

    #[test]
    fn each_line_is_an_event_with_the_line_as_its_data() {
        let [event] = &events(&filter(None, false), &[b"a \"b\""])[..] else { panic!("it is one event") };
        let data = Some(r#"{"line":"a \"b\""}"#.to_owned());
        let name = "journalctl -f".to_owned();
        let occurrence = Occurrence { at: Timestamp::from_seconds(9), name, data, count: 1, depth: 0 };
        assert_eq!(*event, LineEvent { occurrence, is_opposite: false });
        let told = told(&filter(None, true), &[b"", b"a\0b\xff\x01\xe2\x82"]);
        assert_eq!(told[0].2, json!({"line": ""}));
        assert_eq!(told[1].2, json!({"line": "a\u{fffd}b\u{fffd}\u{1}\u{fffd}"}));
    }

    #[test]
    fn only_lines_that_match_are_events_and_named_groups_are_data() {
        let lines: [&[u8]; 4] = [b"ok", b"FAIL 7 \xff", b"ok", b"fail"];
        let pattern = r"(?i)fail(?: (?<code>\d+) (?<rest>(?-u:.)))?";
        let groups = json!({"code": "7", "rest": "\u{fffd}"});
        let first = json!({"line": "FAIL 7 \u{fffd}", "groups": groups});
        let second = json!({"line": "fail", "groups": {"code": null, "rest": null}});
        assert_eq!(told(&filter(Some(pattern), false), &lines), [(1, false, first), (1, false, second)]);
        assert_eq!(told(&filter(Some("^(x|o)k$"), false), &lines)[1], (1, false, json!({"line": "ok"})));
    }

    #[test]
    fn lines_that_do_not_match_are_the_opposite_and_neighbours_are_one_event() {
        let lines: [&[u8]; 5] = [b"a", b"b", b"fail", b"fail", b"c"];
        let line = |text: &str| json!({"line": text});
        let expected =
            [(2, true, line("b")), (1, false, line("fail")), (1, false, line("fail")), (1, true, line("c"))];
        assert_eq!(told(&filter(Some("fail"), true), &lines), expected);
    }

    #[test]
    fn the_name_of_an_event_is_the_first_line_of_the_script() {
        assert_eq!(name_of("\n  journalctl -f \n grep x"), "journalctl -f");
        assert_eq!(name_of(&"ä".repeat(300)), "ä".repeat(200));
        assert_eq!(name_of(""), "");
    }

    #[test]
    fn a_pattern_that_takes_too_much_memory_is_an_error() {
        let pattern = Some(r"\w{1000}{100}".to_owned());
        let source = StreamSource { command: "x".to_owned(), pattern, restart: Span::ZERO };
        assert!(Filter::new(&source, false).is_err());
    }

    #[test]
    fn data_that_is_too_long_is_cut_and_says_so() {
        let long = |byte: u8| vec![byte; Occurrence::DATA_BYTES_MAX];
        let pattern = "(?s)^(?<all>(?-u:.*))(?<end>(?-u:.))$";
        for (filter, bytes) in [
            (filter(None, false), long(b'x')),
            (filter(None, false), long(1)),
            (filter(Some(pattern), false), long(b'"')),
            (filter(Some(pattern), false), long(0xff)),
        ] {
            let [event] = &events(&filter, &[&bytes])[..] else { panic!("it is one event") };
            let data = event.occurrence.data.as_deref().expect("a line has data");
            let value: Value = serde_json::from_str(data).expect("it is JSON");
            assert_eq!(value["cut"], json!(true));
            let least = Occurrence::DATA_BYTES_MAX - 64;
            assert!((least..=Occurrence::DATA_BYTES_MAX).contains(&data.len()), "{}", data.len());
        }
        // The room of both groups is used up by the first.
        let value = &told(&filter(Some(pattern), false), &[&long(b'x')])[0].2;
        assert_eq!(value["groups"]["all"].as_str().map(str::len), Some(32_747));
        assert_eq!(value["groups"].get("end"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_length_of_a_character_in_json_is_known(c: char) {
            prop_assert_eq!(quoted(&c.to_string()).len(), json_bytes(c) + 2);
        }

        #[test]
        fn data_is_json_of_a_bounded_length(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            times in 1_usize..400,
            is_cut: bool,
        ) {
            let line = Line { bytes: bytes.repeat(times), is_cut };
            let groups = [("a", Some(text(&line.bytes))), ("b", None), ("c", Some(text(&bytes)))];
            let data = data(&line, &groups);
            prop_assert!(data.len() <= Occurrence::DATA_BYTES_MAX);
            let value: Value = serde_json::from_str(&data).expect("it is JSON");
            let shown = value["line"].as_str().expect("it is text");
            prop_assert!(text(&line.bytes).starts_with(shown));
            let is_whole = shown.len() == text(&line.bytes).len()
                && value["groups"]["a"].as_str() == groups[0].1.as_deref()
                && value["groups"]["c"].as_str() == groups[2].1.as_deref();
            prop_assert_eq!(value.get("cut").is_some(), is_cut || !is_whole);
        }
    }
}
