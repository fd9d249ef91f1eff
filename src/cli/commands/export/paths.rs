//! Owns: path triggers as lines of path units: systemd.path(5).
//! Never: the unit around the lines, what is said of its differences (see `systemd`).

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::units;
use crate::domain::{Counter, EventSource, EventTrigger, PathChange, PathSource};

/// A line of a path unit.
pub(super) struct PathLine {
    pub(super) key: PathKey,
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathKey {
    Changed,
    Exists,
    ExistsGlob,
    NotEmpty,
}

impl PathKey {
    /// Returns whether systemd looks again at the end of the service, so that nothing is lost during it.
    pub(super) fn is_level(self) -> bool {
        match self {
            Self::Exists | Self::ExistsGlob | Self::NotEmpty => true,
            Self::Changed => false,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Changed => "PathChanged",
            Self::Exists => "PathExists",
            Self::ExistsGlob => "PathExistsGlob",
            Self::NotEmpty => "DirectoryNotEmpty",
        }
    }
}

impl PathLine {
    pub(super) fn text(&self) -> String {
        format!("{}={}", self.key.word(), self.path)
    }
}

/// Returns the line of a trigger; `None`: no path unit does the same.
pub(super) fn line(event: &EventTrigger) -> Option<PathLine> {
    let EventSource::Path(PathSource { path, change, settle: None, poll: None }) = &event.source else {
        return None;
    };
    if event.counter != Counter::default() {
        return None;
    }
    let path = without_parents(Path::new(path))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_pattern = name.contains(['*', '?', '[']);
    let key = match change {
        PathChange::Changed if !is_pattern => PathKey::Changed,
        PathChange::Exists if !is_pattern => PathKey::Exists,
        PathChange::Exists if is_same_pattern(&path, name) => PathKey::ExistsGlob,
        // The content of a file is nothing that systemd looks at.
        PathChange::Nonempty if !is_pattern && !path.is_file() => PathKey::NotEmpty,
        PathChange::Changed
        | PathChange::Exists
        | PathChange::Nonempty
        | PathChange::Created
        | PathChange::Deleted
        | PathChange::Bytes(_)
        | PathChange::Lines(_) => return None,
    };
    let path = units::path(path.to_str()?.as_bytes())?;
    Some(PathLine { key, path })
}

/// Returns whether glob(3) in systemd matches the same files. It takes the whole path for a pattern, and
/// knows backslashes, braces and classes.
fn is_same_pattern(path: &Path, name: &str) -> bool {
    let above = path.parent().and_then(Path::to_str).unwrap_or_default();
    let has_more = ["\\", "{", "[^", "[:", "[.", "[="].iter().any(|more| name.contains(more));
    !has_more && !above.contains(['*', '?', '[', '{', '\\'])
}

/// Returns the path without `..`, which systemd refuses; `None` if there is no such directory.
fn without_parents(path: &Path) -> Option<PathBuf> {
    let parts: Vec<Component<'_>> = path.components().collect();
    let Some(last) = parts.iter().rposition(|part| *part == Component::ParentDir) else {
        return Some(parts.iter().collect());
    };
    let above: PathBuf = parts[..=last].iter().collect();
    // Where it leads depends on symbolic links.
    let above = fs::canonicalize(above).ok()?;
    Some(parts[last + 1..].iter().fold(above, |path, part| path.join(part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Size, Span};

    fn event(path: &str, change: PathChange) -> EventTrigger {
        let source = PathSource { path: path.to_owned(), change, settle: None, poll: None };
        EventTrigger { source: EventSource::Path(source), counter: Counter::default() }
    }

    fn said(path: &str, change: PathChange) -> Option<String> {
        line(&event(path, change)).map(|line| line.text())
    }

    #[test]
    fn a_path_has_the_key_that_does_the_same() {
        for (path, change, expected) in [
            ("/etc/a b", PathChange::Changed, Some("PathChanged=/etc/a b")),
            ("/srv/50%", PathChange::Changed, Some("PathChanged=/srv/50%%")),
            ("/srv/in/", PathChange::Nonempty, Some("DirectoryNotEmpty=/srv/in")),
            ("/srv/x", PathChange::Exists, Some("PathExists=/srv/x")),
            ("/srv/*.csv", PathChange::Exists, Some("PathExistsGlob=/srv/*.csv")),
            ("/srv/[!a-c]?", PathChange::Exists, Some("PathExistsGlob=/srv/[!a-c]?")),
            ("/proc/../etc/x", PathChange::Exists, Some("PathExists=/etc/x")),
            ("/etc/..", PathChange::Changed, Some("PathChanged=/")),
        ] {
            assert_eq!(said(path, change).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_path_of_which_systemd_would_make_another_has_no_line() {
        for (path, change) in [
            ("/srv/*.csv", PathChange::Changed),
            ("/srv/*.d", PathChange::Nonempty),
            ("/etc/passwd", PathChange::Nonempty),
            ("/srv/a\nb", PathChange::Changed),
            ("/srv/a ", PathChange::Changed),
            ("/srv/a\\", PathChange::Exists),
            ("/srv/*{a,b}", PathChange::Exists),
            ("/srv/[^a]", PathChange::Exists),
            ("/srv/*\\a", PathChange::Exists),
            ("/srv/[[:alpha:]]", PathChange::Exists),
            ("/s[r]v/*", PathChange::Exists),
            ("/no/such/../x", PathChange::Exists),
            ("/srv/x", PathChange::Created),
            ("/srv/x", PathChange::Deleted),
            ("/srv/x", PathChange::Bytes(Size::from_bytes(1))),
            ("/srv/x", PathChange::Lines(1)),
        ] {
            assert_eq!(said(path, change), None, "{path}");
        }
    }

    #[test]
    fn what_waits_or_counts_has_no_line() {
        let plain = || event("/srv/x", PathChange::Changed);
        let mut counted = plain();
        counted.counter.count = 2;
        let mut absent = plain();
        absent.counter.absent = Some(Span::from_seconds(1));
        let source = |settle, poll| {
            let source = PathSource { path: "/srv/x".to_owned(), change: PathChange::Changed, settle, poll };
            EventTrigger { source: EventSource::Path(source), counter: Counter::default() }
        };
        let span = Some(Span::from_seconds(1));
        for event in [counted, absent, source(span, None), source(None, span)] {
            assert!(line(&event).is_none(), "{event}");
        }
        assert!(line(&plain()).is_some());
    }
}
