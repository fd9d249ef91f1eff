//! Owns: odd fields as Debian's cron and cronie read them, against measured tables.
//! Never: running either (see tests/differential.rs).

use proptest::prelude::*;

use super::super::{BadField, Dialect, FieldsReading, Quirk, parse_cron, parse_field};

const BOTH: [Dialect; 2] = [Dialect::Debian, Dialect::Cronie];

fn read_seeded(dialect: Dialect, text: &[u8], seed: u64) -> Result<FieldsReading, BadField> {
    let fields: Vec<_> = text.split(|byte| *byte == b' ').collect();
    dialect.read(&fields.try_into().expect("five fields"), seed)
}

fn read(dialect: Dialect, text: &str) -> Result<FieldsReading, BadField> {
    read_seeded(dialect, text.as_bytes(), 0)
}

/// Returns the meaning of a text: an expression, `never`, or the cron's words.
fn meaning(dialect: Dialect, text: &str) -> String {
    match read(dialect, text) {
        Ok(reading) => reading.expression().unwrap_or_else(|| "never".to_owned()),
        Err(bad) => bad.message().to_owned(),
    }
}

/// Text, Debian's reading, cronie's reading.
const ODD: &[(&str, &str, &str)] = &[
    // Out of range.
    ("60 * * * *", "bad minute", "bad minute"),
    ("* 24 * * *", "bad hour", "bad hour"),
    ("* * 0 * *", "bad day-of-month", "bad day-of-month"),
    ("* * 32 * *", "bad day-of-month", "bad day-of-month"),
    ("* * * 0 *", "bad month", "bad month"),
    ("* * * 13 *", "bad month", "bad month"),
    ("* * * * 8", "bad day-of-week", "bad day-of-week"),
    ("5-64/20 * * * *", "bad minute", "5,25,45 * * * *"),
    ("5-64/5 * * * *", "bad minute", "bad minute"),
    ("5-64/60 * * * *", "bad minute", "5 * * * *"),
    ("99-60 * * * *", "bad minute", "never"),
    ("-1 * * * *", "bad minute", "bad minute"),
    // Names.
    ("* * * * sunday", "bad day-of-week", "bad day-of-week"),
    ("* * * * su", "bad day-of-week", "bad day-of-week"),
    ("* * * mon *", "bad month", "bad month"),
    ("mon * * * *", "bad minute", "bad minute"),
    // Backwards.
    ("0 0 * * sat-sun", "never", "0 0 * * 0,6"),
    ("0 0 * * fri-sun", "never", "0 0 * * 5-7"),
    ("0 0 * * 6-0", "never", "0 0 * * 0,6"),
    ("0 0 * * sat-sun/1", "never", "never"),
    ("0 0 1 * sat-sun", "0 0 1 * *", "0 0 1 * 0,6"),
    ("0 0 20-10 * 1", "0 0 * * 1", "0 0 * * 1"),
    ("0 0 20-10 * *", "never", "never"),
    ("0 0 20-10 * 6-1", "never", "never"),
    ("0 22-2 * * *", "never", "never"),
    ("0 5-0 * * *", "never", "0 5-7 * * *"),
    ("0 22-0 * * *", "never", "never"),
    ("50-10 * * * *", "never", "never"),
    ("0 0 1 nov-feb *", "never", "never"),
    ("1,50-10 * * * *", "1 * * * *", "1 * * * *"),
    ("0 0 5-1 * *", "never", "never"),
    // Steps.
    ("5/15 * * * *", "bad minute", "bad minute"),
    ("*/0 * * * *", "bad minute", "bad minute"),
    ("*/-5 * * * *", "bad minute", "bad minute"),
    ("*/ * * * *", "bad minute", "bad minute"),
    ("* * * */jan *", "bad month", "bad month"),
    ("*/5/2 * * * *", "*/5 * * * *", "bad minute"),
    // Lists.
    ("1,,2 * * * *", "bad minute", "bad minute"),
    (",1 * * * *", "bad minute", "bad minute"),
    ("1, * * * *", "bad minute", "bad minute"),
    // Tildes, with the draws of seed 0.
    ("0~29 * * * *", "0 * * * *", "19 * * * *"),
    ("5~5 * * * *", "5 * * * *", "5 * * * *"),
    ("59~ * * * *", "59 * * * *", "59 * * * *"),
    ("~0 * * * *", "bad minute", "0 * * * *"),
    ("~30 * * * *", "bad minute", "20 * * * *"),
    ("~ * * * *", "bad minute", "39 * * * *"),
    ("* * * * sat~sun", "* * * * 6", "bad day-of-week"),
    ("0~59/5 * * * *", "0 * * * *", "bad minute"),
    ("0~60 * * * *", "0 * * * *", "bad minute"),
    ("9~3 * * * *", "9 * * * *", "bad minute"),
    // Junk after a number.
    ("5* * * * *", "5 * * * *", "bad minute"),
    ("1.5 * * * *", "1 * * * *", "bad minute"),
    ("1-5-7 * * * *", "1-5 * * * *", "bad minute"),
    ("*-5 * * * *", "* * * * *", "bad minute"),
    ("*5 * * * *", "* * * * *", "bad minute"),
    ("1,5#2,9 * * * *", "1,5 * * * *", "bad minute"),
    ("0 0 * * 5#2", "0 0 * * 5", "bad day-of-week"),
    ("0 0 * * mon#1", "0 0 * * 1", "bad day-of-week"),
    ("0 0 * * *\r", "0 0 * * *", "bad day-of-week"),
    // Junk before or in a number, or without one.
    ("5a * * * *", "bad minute", "bad minute"),
    ("+5 * * * *", "bad minute", "bad minute"),
    ("0x10 * * * *", "bad minute", "bad minute"),
    ("* * L * *", "bad day-of-month", "bad day-of-month"),
    ("* * 15W * *", "bad day-of-month", "bad day-of-month"),
    ("* * * * 5L", "bad day-of-week", "bad day-of-week"),
    ("* * ? * *", "bad day-of-month", "bad day-of-month"),
    ("H * * * *", "bad minute", "bad minute"),
    ("R * * * *", "bad minute", "bad minute"),
    ("5é * * * *", "5 * * * *", "bad minute"),
    // Numbers that do not fit.
    ("4294967297 * * * *", "1 * * * *", "1 * * * *"),
    ("4294967296-4294967299 * * * *", "0-3 * * * *", "0-3 * * * *"),
    ("18446744073709551617 * * * *", "bad minute", "bad minute"),
    ("*/4294967298 * * * *", "*/2 * * * *", "*/2 * * * *"),
    ("*/4294967295 * * * *", "bad minute", "bad minute"),
    ("30-10/4294967295 * * * *", "bad minute", "never"),
    ("0-10/2147483647 * * * *", "0 * * * *", "0 * * * *"),
    ("5-10/2147483647 * * * *", "bad minute", "bad minute"),
    // Dates that never come.
    ("0 0 31 2 *", "never", "never"),
    ("0 0 31 4,6,9,11 *", "never", "never"),
    // A star that must remain one.
    ("*/70# * * * *", "*/60 * * * *", "bad minute"),
    ("0 0 */32,1-7# * mon", "0 0 */32,2-7 * mon", "bad day-of-month"),
];

#[test]
fn odd_fields_mean_the_same_as_to_both_crons() {
    for (text, debian, cronie) in ODD {
        assert_eq!(meaning(Dialect::Debian, text), *debian, "Debian: {text}");
        assert_eq!(meaning(Dialect::Cronie, text), *cronie, "cronie: {text}");
    }
}

/// Texts that all three grammars read alike, and that are kept.
const PLAIN: &str = "0 0 * * 0; 0 0 * * 7; 0 0 * * 5-7; 0 0 * * 0-7/3; 0 0 * * 1-7/2; 0 0 * * mon-fri/2; \
    0 0 * * SUN-tue; 0 0 1 jan-3,Dec *; */13 */5 * * *; */70 * * * *; 0 0 */32 * 1; 0-59/10 2 * * *; \
    007 0000 01 1 *; 0 0 *,10 * 1; 0 0 10,* * 1; 0 0 1-31 * 1; 0 0 1 * 0-6; 0 0 1 * */2; 0 0 1-7 * */7; \
    0 0 */32,1-7 * MON; 0 0 29 2 *; 0 0 30 2 1; 5-5/3 * * * *";

#[test]
fn strict_fields_are_read_alike_and_kept() {
    for text in PLAIN.split("; ") {
        for dialect in BOTH {
            let reading = read(dialect, text).unwrap_or_else(|bad| panic!("{dialect:?}: {text}: {bad:?}"));
            assert_eq!(reading.schedule(), parse_cron(text).ok(), "{dialect:?}: {text}");
            assert_eq!(reading.expression().as_deref(), Some(text), "{dialect:?}");
        }
    }
}

#[test]
fn a_field_is_written_anew_only_if_necessary() {
    for (text, expected) in [
        ("5#2 */5 1,15 Jan-MAR mon", "5 */5 1,15 Jan-MAR mon"),
        ("0,1,2,7,9# 0 * * *", "0-2,7,9 0 * * *"),
        ("1,4,7,10# 0 * * *", "1-10/3 0 * * *"),
        ("1,3,5# 0 * * *", "1,3,5 0 * * *"),
        ("0-59# 0 * * *", "0-59 0 * * *"),
        ("0 *# * * *", "0 * * * *"),
        ("0 */6# * * *", "0 */6 * * *"),
        ("0 *,3# * * *", "0 * * * *"),
        ("0 0 */40# * 1", "0 0 */32 * 1"),
        ("0 0 */32,1-7# * MON", "0 0 */32,2-7 * MON"),
        ("0 0 * * */7#", "0 0 * * */7"),
        ("0 0 * * */9#", "0 0 * * */7"),
        ("0 0 * * */9,1-3#", "0 0 * * */8,1-3"),
        ("0 0 * * 5,6,7#", "0 0 * * 5-7"),
        ("0 0 * * 0,1,2#", "0 0 * * 0-2"),
        ("0 0 * * 0-7#", "0 0 * * 0-6"),
        ("0 0 * * 7#", "0 0 * * 0"),
    ] {
        assert_eq!(meaning(Dialect::Debian, text), expected, "{text}");
    }
    let long = format!("{}5 * * * *", "0".repeat(1_200));
    assert_eq!(meaning(Dialect::Cronie, &long), "5 * * * *", "Debian's cron would refuse it");
    assert_eq!(meaning(Dialect::Debian, &long), "bad minute");
    assert_eq!(
        meaning(Dialect::Debian, &long[202..]),
        "5 * * * *".to_owned().replace('5', &long[202..1_201])
    );
}

#[test]
fn equal_schedules_mean_the_same_day() {
    for (one, other) in [
        ("0 0 1 * sat-sun", "0 0 1 * *"),
        ("0 0 9-1 * mon", "0 0 * * 1"),
        ("0 0 1-31 * mon", "0 0 * * *"),
        ("0 0 5 * 0-6", "0 0 1-31 * 1-7"),
    ] {
        let [one, other] =
            [one, other].map(|text| read(Dialect::Debian, text).expect("Debian reads it").schedule());
        assert_eq!(one, other);
    }
    let [and, or] = ["0 0 */32,1-7 * mon", "0 0 1-7 * mon"].map(|text| read(Dialect::Cronie, text));
    assert_ne!(and.expect("it is read").schedule(), or.expect("it is read").schedule());
}

#[test]
fn a_star_is_one_by_its_first_character() {
    let flags = |text| {
        let reading = read(Dialect::Debian, text).expect("Debian reads it");
        (reading.has_star_in_minute_or_hour(), reading.either_day())
    };
    assert_eq!(flags("0 0 1 * 1"), (false, true));
    assert_eq!(flags("*/2 0 1 * 1"), (true, true));
    assert_eq!(flags("0 *5 *,1 * 1"), (true, false));
    assert_eq!(flags("0-59 0-23 10,* * */2"), (false, false));
    assert_eq!(flags("1,* 1,* 1,* * 1,*"), (false, true));
}

#[test]
fn the_first_bad_field_is_reported() {
    for (text, index, message) in [
        ("x x x x x", 0, "bad minute"),
        ("* x x x x", 1, "bad hour"),
        ("* * x x x", 2, "bad day-of-month"),
        ("* * * x x", 3, "bad month"),
        ("* * * * x", 4, "bad day-of-week"),
    ] {
        for dialect in BOTH {
            let bad = read(dialect, text).expect_err("neither reads it");
            assert_eq!((bad, bad.message()), (BadField { index }, message));
        }
    }
}

#[test]
fn a_byte_that_is_the_end_of_the_file_to_debian_is_refused() {
    for (text, is_read) in
        [(&b"5\xfe"[..], true), (b"5\xff", false), (b"*\xff", false), (b"5#\xff", true), (b"", false)]
    {
        let text = [text, b" * * * *"].concat();
        assert_eq!(read_seeded(Dialect::Debian, &text, 0).is_ok(), is_read, "{text:?}");
        assert!(read_seeded(Dialect::Cronie, &text, 0).is_err(), "{text:?}");
    }
}

#[test]
fn each_oddity_has_words() {
    for (dialect, text, expected) in [
        (Dialect::Debian, "5 * * * *", &[][..]),
        (Dialect::Debian, "1,5#2 * * * *", &["minute `1,5#2`: Debian's cron reads `1,5` and skips `#2`"]),
        (Dialect::Debian, "0 0~6 * * *", &["hour `0~6`: Debian's cron reads `0` and skips `~6`"]),
        (
            Dialect::Cronie,
            "4294967297 0 * 1,11-2 *",
            &[
                "minute `4294967297`: the number is too large and is read as 1",
                "month `11-2`: the range runs backwards, so no value is in it",
            ],
        ),
        (
            Dialect::Cronie,
            "5-64/20 0 * * mon",
            &["minute `5-64/20`: cronie accepts a range that ends outside the field"],
        ),
        (
            Dialect::Cronie,
            "0 0 * * mon,sat-sun",
            &["weekday `sat-sun`: cronie reads the end as 7; up to 1.7.2 no value is in the range"],
        ),
        (
            Dialect::Debian,
            "*/70 0 */32,1-7 * *",
            &[
                "minute `*/70`: the step is larger than the range, so only 0 is in it",
                "day of month `*/32`: the step is larger than the range, so only 1 is in it",
            ],
        ),
        (
            Dialect::Cronie,
            "0~29 0 * * *",
            &["minute `0~29`: cronie draws a number each time it loads the table; taskq uses 19"],
        ),
    ] {
        let reading = read(dialect, text).expect("it is read");
        assert_eq!(
            reading.oddities().iter().map(ToString::to_string).collect::<Vec<_>>(),
            expected,
            "{text}"
        );
    }
}

fn is_drawn(reading: &FieldsReading) -> bool {
    reading.oddities().iter().any(|oddity| matches!(oddity.quirk, Quirk::Drawn { .. }))
}

#[test]
fn draws_are_stable_and_spread_evenly() {
    let drawn = |text: &str, seed| {
        let reading = read_seeded(Dialect::Cronie, text.as_bytes(), seed).expect("cronie reads it");
        assert!(is_drawn(&reading));
        assert_eq!(reading, read_seeded(Dialect::Cronie, text.as_bytes(), seed).expect("and again"));
        reading.expression().expect("it fires")
    };
    let mut counts = [0; 60];
    for seed in 0..60_000 {
        let expression = drawn("~ 3 * * *", seed);
        counts[expression
            .split(' ')
            .next()
            .and_then(|minute| minute.parse::<usize>().ok())
            .expect("a minute")] += 1;
    }
    // A thousand each; six standard deviations of a fair draw are 190.
    assert!(counts.iter().all(|count| (810..1_190).contains(count)), "{counts:?}");
    let same = (0..1_000).filter(|seed| {
        let expression = drawn("0~9,0~9 0~9 * * *", *seed);
        let (minute, hour) = expression.split_once(' ').expect("five fields");
        minute == &hour[..1]
    });
    // Both minutes equal the hour in one draw of a hundred.
    assert!((1..40).contains(&same.count()), "each `~` draws for itself");
    assert!(!read(Dialect::Debian, "5~9 9 * * *").is_ok_and(|reading| is_drawn(&reading)));
}

/// Fields of plausible pieces, and junk.
fn odd_field() -> impl Strategy<Value = Vec<u8>> {
    let pieces = "* * 1 2 5 7 0 12 31 59 4294967298 - - / / , , ~ # mon";
    let piece = proptest::sample::select(pieces.split(' ').collect::<Vec<_>>());
    let odd = proptest::collection::vec(piece, 1..7).prop_map(|pieces| pieces.concat().into_bytes());
    let ranges =
        (0_u32..40, 0_u32..40, 1_u32..40).prop_map(|(low, high, step)| format!("{low}-{high}/{step}"));
    let ranges = proptest::collection::vec(ranges, 1..3).prop_map(|ranges| ranges.join(",").into_bytes());
    let junk = proptest::collection::vec(any::<u8>(), 0..5);
    let star = proptest::sample::select(&["*", "*", "*/3", "*,5", "1-5", "0-6"][..]).prop_map(Into::into);
    prop_oneof![5 => star, 3 => odd, 2 => ranges, 1 => (junk, Just(b'1')).prop_map(|(mut junk, one)| {
        junk.retain(|byte| !matches!(byte, b' ' | b'\t' | b'\n'));
        junk.insert(0, one);
        junk
    })]
}

/// Returns whether our grammar accepts a field.
fn is_strict(index: usize, field: &[u8]) -> bool {
    str::from_utf8(field).is_ok_and(|field| parse_field(index, field).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_reading_is_written_as_an_expression_that_all_three_grammars_read_alike(
        fields in [odd_field(), odd_field(), odd_field(), odd_field(), odd_field()], seed in any::<u64>(),
    ) {
        let text = fields.join(&b' ');
        // In an expression any white space separates fields. In a crontab a vertical tab does not.
        let is_plain = |text: &&str| text.split_whitespace().eq(text.split(' '));
        let strict = str::from_utf8(&text).ok().filter(is_plain).and_then(|text| parse_cron(text).ok());
        for dialect in BOTH {
            let Ok(reading) = dialect.read(&fields.each_ref().map(Vec::as_slice), seed) else {
                prop_assert_eq!(&strict, &None, "{:?} reads strict fields", dialect);
                continue;
            };
            let schedule = reading.schedule();
            for (index, field) in fields.iter().enumerate() {
                let is_noted = reading.oddities().iter().any(|oddity| oddity.field == index);
                prop_assert!(is_noted || is_strict(index, field), "no oddity of {:?}", field);
            }
            if strict.is_some() {
                prop_assert_eq!(&schedule, &strict);
                prop_assert_eq!(reading.expression().map(String::into_bytes), Some(text.clone()));
            }
            let Some(expression) = reading.expression() else {
                prop_assert_eq!(schedule, None);
                continue;
            };
            prop_assert_eq!(&parse_cron(&expression).ok(), &schedule, "{}", expression);
            for again in BOTH {
                let again = read(again, &expression).expect("both crons read strict fields");
                prop_assert_eq!(&again.schedule(), &schedule, "{}", expression);
                prop_assert_eq!(again.has_star_in_minute_or_hour(), reading.has_star_in_minute_or_hour());
            }
        }
    }
}
