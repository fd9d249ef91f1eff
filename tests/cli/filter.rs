//! Owns: taking out of texts what differs from run to run: instants, lengths of time, process ids.
//! Never: anything else: what a filter hides no snapshot can protect.

/// Shapes of instants: `d` is a digit, `s` a sign, `f` a fraction if there is one, `A` and `a` are letters,
/// everything else itself.
const INSTANTS: &[&str] = &["dddd-dd-ddTdd:dd:ddfZ", "dddd-dd-dd dd:dd:dd sdddd"];

/// Shapes of instants in tables.
const SHORT_INSTANTS: &[&str] = &["Aaa dd dd:dd", "Aaa dd:dd", "dd:dd:dd"];

/// JSON keys whose numbers are measured.
const MEASURED: &[&str] = &["pid", "duration_ms", "user_ms", "system_ms", "max_rss_kib", "backlog_ms"];

/// Returns the text with `[time]` for instants of this century, `[n]` for measured numbers.
pub fn filtered(text: &str) -> String {
    without(text, INSTANTS)
}

fn without(text: &str, instants: &[&str]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = instants.iter().find_map(|shape| length_of(shape, rest)) {
            shown.push_str("[time]");
            rest = &rest[length..];
            continue;
        }
        shown.push(c);
        rest = &rest[c.len_utf8()..];
        if c == ':' && MEASURED.iter().any(|key| shown.ends_with(&format!("\"{key}\":"))) {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            if digits > 0 {
                shown.push_str("[n]");
                rest = &rest[digits..];
            }
        }
    }
    shown
}

/// Returns the length of what stands at the beginning of the text, if it has this shape.
fn length_of(shape: &str, text: &str) -> Option<usize> {
    let text = text.as_bytes();
    let mut at = 0;
    for wanted in shape.bytes() {
        let found = *text.get(at)?;
        let fits = match wanted {
            b'd' => found.is_ascii_digit(),
            b'A' => found.is_ascii_uppercase(),
            b'a' => found.is_ascii_lowercase(),
            b's' => matches!(found, b'+' | b'-'),
            b'f' => {
                let digits = text[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                at += if found == b'.' { 1 + digits } else { 0 };
                continue;
            }
            _ => found == wanted,
        };
        if !fits {
            return None;
        }
        at += 1;
    }
    Some(at)
}

/// Returns a table with single gutters, `[time]` for short instants and `[span]` for lengths of time: for
/// tables whose widths depend on them.
pub fn squeezed(text: &str) -> String {
    let is_span = |word: &str| {
        let word = word.trim_matches(['(', ')', ',', '~']);
        let unit = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        unit.len() < word.len() && matches!(unit, "us" | "ms" | "s" | "m" | "h" | "d")
    };
    let mut shown = String::new();
    for line in without(&filtered(text), SHORT_INSTANTS).lines() {
        let mut words: Vec<&str> = Vec::new();
        for word in line.split_whitespace() {
            // Of two units one is left: `4m 59s`, and a second later `4m`.
            match (is_span(word), words.last()) {
                (true, Some(&"[span]")) => {}
                (true, _) => words.push("[span]"),
                (false, _) => words.push(word),
            }
        }
        shown.push_str(&words.join(" "));
        shown.push('\n');
    }
    shown
}
