//! Owns: the settings in a file of systemd.unit(5), as text.
//! Never: I/O, their meaning.

/// A setting of a unit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub section: String,
    pub key: String,
    pub value: String,
}

/// Returns the settings in the order of the file.
pub fn settings(text: &str) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut section = String::new();
    let mut joined = String::new();
    for line in text.lines() {
        let line = line.trim();
        // A comment between the parts of a line does not end it.
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            joined.push_str(part);
            joined.push(' ');
            continue;
        }
        joined.push_str(line);
        let whole = std::mem::take(&mut joined);
        if let Some(name) = whole.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = whole.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            settings.push(Setting { section: section.clone(), key, value });
        }
    }
    settings
}

/// Returns the values of a setting that can be repeated. An empty one takes back those before it.
pub fn values<'a>(settings: &'a [Setting], section: &str, key: &str) -> Vec<&'a str> {
    let mut values = Vec::new();
    for setting in settings.iter().filter(|setting| setting.section == section && setting.key == key) {
        if setting.value.is_empty() { values.clear() } else { values.push(setting.value.as_str()) }
    }
    values
}

/// Returns the settings, as `Key=`, that are in none of these lists of a section and its keys. A section
/// with the key `*` has no others.
pub fn others(settings: &[Setting], known: &[(&str, &[&str])]) -> Vec<String> {
    let mut others: Vec<String> = Vec::new();
    for setting in settings.iter().filter(|setting| !setting.value.is_empty()) {
        let keys =
            known.iter().find(|(section, _)| *section == setting.section).map_or(&[][..], |(_, keys)| keys);
        let is_known = |key: &&str| *key == "*" || *key == setting.key;
        let shown = format!("{}=", setting.key);
        if !keys.iter().any(is_known) && !setting.key.starts_with("X-") && !others.contains(&shown) {
            others.push(shown);
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_sections_of_settings_whose_lines_go_on_after_a_backslash() {
        let text = "# x\n[Unit]\nDescription = a = b\n[Service]\nExecStart=a \\\n; y\n  b\n\
                    MemoryMax=1G\nX-Y=1\n\
                    MemoryMax=2G\nExecStart=\nExecStart=c\n";
        let read = settings(text);
        assert_eq!(read[0].value, "a = b");
        assert_eq!(read[1].value, "a  b");
        assert_eq!(values(&read, "Service", "ExecStart"), ["c"]);
        assert_eq!(others(&read, &[("Unit", &["*"]), ("Service", &["ExecStart"])]), ["MemoryMax="]);
    }

    proptest! {
        #[test]
        fn no_file_panics(text: String, like in "(\\[?[A-Z]{0,3}\\]?=?\\\\?\n?)*") {
            let _ = (settings(&text), settings(&like));
        }
    }
}
