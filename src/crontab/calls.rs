//! Owns: finding the calls of crontab(1) in a job's command.
//! Never: the whole grammar of a shell, such as variables and aliases.
//!
//! The text is split into simple commands, also those in `$(…)`, backquotes and after `sh -c`. The first
//! program of each counts, after keywords, assignments and programs such as sudo(8) that start another one.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrontabCall {
    /// `crontab -l`
    Lists,
    /// `crontab FILE`, `crontab -`, `crontab -e`
    Installs,
    /// `crontab -r`
    Removes,
}

/// Words before a command.
const KEYWORDS: [&[u8]; 11] =
    [b"if", b"then", b"elif", b"else", b"while", b"until", b"do", b"!", b"{", b"time", b"exec"];

/// Programs that run the word after `-c` as a command.
const SHELLS: [&[u8]; 8] = [b"sh", b"bash", b"dash", b"ash", b"ksh", b"zsh", b"su", b"runuser"];

/// Programs that start the rest of their arguments as a command, with the options that have a value, and the
/// number of arguments before the command.
const STARTERS: [(&[u8], &[u8], usize); 15] = [
    (b"chronic", b"", 0),
    (b"chrt", b"TPD", 1),
    (b"command", b"", 0),
    (b"doas", b"uC", 0),
    (b"env", b"uCS", 0),
    (b"flock", b"wE", 1),
    (b"ionice", b"cnp", 0),
    (b"nice", b"n", 0),
    (b"nohup", b"", 0),
    (b"runuser", b"ug", 0),
    (b"setsid", b"", 0),
    (b"stdbuf", b"ioe", 0),
    (b"sudo", b"ughpCTUDRrt", 0),
    (b"timeout", b"sk", 1),
    (b"systemd-cat", b"tp", 0),
];

type Words = Vec<Vec<u8>>;

/// Returns the operations of crontab(1) in a command of a shell, each once.
pub(super) fn crontab_calls(command: &[u8]) -> Vec<CrontabCall> {
    let mut calls = Vec::new();
    // Most commands do not have the word, and tables have many commands.
    if !command.windows(CRONTAB.len()).any(|part| part == CRONTAB) {
        return calls;
    }
    let mut texts = vec![command.to_vec()];
    while let Some(text) = texts.pop() {
        for words in simple_commands(&text) {
            match started(&words) {
                Some(Started::Crontab(Some(call))) if !calls.contains(&call) => calls.push(call),
                Some(Started::Shell(text)) => texts.push(text.to_vec()),
                Some(Started::Crontab(_)) | None => {}
            }
        }
    }
    calls
}

const CRONTAB: &[u8] = b"crontab";

/// The program of a simple command.
enum Started<'a> {
    Crontab(Option<CrontabCall>),
    /// A shell that runs this text.
    Shell(&'a [u8]),
}

fn started(words: &[Vec<u8>]) -> Option<Started<'_>> {
    let mut words = words;
    loop {
        let (first, rest) = words.split_first()?;
        if KEYWORDS.contains(&first.as_slice()) || is_assignment(first) {
            words = rest;
            continue;
        }
        // `/etc/crontab` is not a program.
        let program = match first.iter().rposition(|byte| *byte == b'/') {
            None => first.as_slice(),
            Some(slash) if first[..slash].ends_with(b"bin") => &first[slash + 1..],
            Some(_) => return None,
        };
        if program == CRONTAB {
            return Some(Started::Crontab(operation(rest)));
        }
        if SHELLS.contains(&program)
            && let Some(at) = rest.iter().position(|word| is_option(word) && word.ends_with(b"c"))
        {
            return rest.get(at + 1).map(|text| Started::Shell(text));
        }
        let (_, with_value, before) = STARTERS.iter().find(|(name, ..)| *name == program)?;
        if program == b"command" && rest.first().is_some_and(|word| matches!(word.as_slice(), b"-v" | b"-V"))
        {
            return None;
        }
        words = after_options(rest, with_value).get(*before..)?;
    }
}

fn is_option(word: &[u8]) -> bool {
    word.len() > 1 && word[0] == b'-'
}

fn is_assignment(word: &[u8]) -> bool {
    let name = word.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    name > 0 && !word[0].is_ascii_digit() && word.get(name) == Some(&b'=')
}

/// Skips options. `with_value` has the letters of those whose value is the next word.
fn after_options<'a>(words: &'a [Vec<u8>], with_value: &[u8]) -> &'a [Vec<u8>] {
    let mut words = words;
    while let Some((option, rest)) = words.split_first().filter(|(word, _)| is_option(word)) {
        if option == b"--" {
            return rest;
        }
        let has_value = option.len() == 2 && with_value.contains(&option[1]);
        words = &rest[usize::from(has_value).min(rest.len())..];
    }
    words
}

/// Returns the operation that the arguments of crontab(1) ask for. `None` if it does not concern a table.
fn operation(words: &[Vec<u8>]) -> Option<CrontabCall> {
    let mut words = words;
    while let Some((option, rest)) = words.split_first().filter(|(word, _)| is_option(word)) {
        for letter in &option[1..] {
            match letter {
                b'l' => return Some(CrontabCall::Lists),
                b'r' => return Some(CrontabCall::Removes),
                b'e' => return Some(CrontabCall::Installs),
                // A check, or the version.
                b'n' | b'T' | b'V' => return None,
                _ => {}
            }
        }
        words = &rest[usize::from(option.ends_with(b"u")).min(rest.len())..];
    }
    Some(CrontabCall::Installs)
}

/// One level of nesting: the text, or a part in parentheses or backquotes.
struct Frame {
    words: Words,
    word: Option<Vec<u8>>,
    /// The next word is the file of a redirection.
    is_target: bool,
    in_double_quotes: bool,
    /// The byte that ends the part.
    closing: Option<u8>,
}

impl Frame {
    fn new(closing: Option<u8>) -> Self {
        Self { words: Vec::new(), word: None, is_target: false, in_double_quotes: false, closing }
    }

    fn push(&mut self, byte: u8) {
        self.word.get_or_insert_default().push(byte);
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take()
            && !std::mem::take(&mut self.is_target)
        {
            self.words.push(word);
        }
    }

    fn end_command(&mut self, commands: &mut Vec<Words>) {
        self.end_word();
        commands.push(std::mem::take(&mut self.words));
    }

    /// Begins a redirection. A number before it, as in `2>`, is not a word.
    fn begin_target(&mut self) {
        if self.word.as_ref().is_some_and(|word| word.iter().all(u8::is_ascii_digit)) {
            self.word = None;
        }
        self.end_word();
        self.is_target = true;
    }
}

/// Splits a text into simple commands without their redirections.
fn simple_commands(text: &[u8]) -> Vec<Words> {
    let mut commands = Vec::new();
    let mut frames: Vec<Frame> = Vec::new();
    let mut frame = Frame::new(None);
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if frame.closing == Some(byte) && !frame.in_double_quotes {
            frame.end_command(&mut commands);
            frame = frames.pop().expect("a frame with a closing byte is inside another");
            continue;
        }
        match byte {
            b'\\' => bytes.next().into_iter().for_each(|byte| frame.push(byte)),
            b'`' | b'$' if byte == b'`' || bytes.next_if_eq(&b'(').is_some() => {
                frame.word.get_or_insert_default();
                let closing = if byte == b'`' { b'`' } else { b')' };
                frames.push(std::mem::replace(&mut frame, Frame::new(Some(closing))));
            }
            b'"' => {
                frame.word.get_or_insert_default();
                frame.in_double_quotes = !frame.in_double_quotes;
            }
            _ if frame.in_double_quotes => frame.push(byte),
            b'\'' => {
                frame.word.get_or_insert_default();
                bytes.by_ref().take_while(|byte| *byte != b'\'').for_each(|byte| frame.push(byte));
            }
            b'#' if frame.word.is_none() => break,
            b' ' | b'\t' | b'\r' => frame.end_word(),
            b'<' | b'>' => {
                frame.begin_target();
                bytes.next_if_eq(&b'&');
            }
            b'(' => {
                frame.end_command(&mut commands);
                frames.push(std::mem::replace(&mut frame, Frame::new(Some(b')'))));
            }
            b';' | b'&' | b'|' | b'\n' | b')' => frame.end_command(&mut commands),
            _ => frame.push(byte),
        }
    }
    for mut frame in frames.into_iter().chain([frame]) {
        frame.end_command(&mut commands);
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: &[CrontabCall] = &[CrontabCall::Lists];
    const INSTALLS: &[CrontabCall] = &[CrontabCall::Installs];
    const REMOVES: &[CrontabCall] = &[CrontabCall::Removes];
    const BOTH: &[CrontabCall] = &[CrontabCall::Lists, CrontabCall::Installs];

    #[test]
    fn a_call_of_crontab_is_found_wherever_a_shell_starts_it() {
        let cases: &[(&str, &[CrontabCall])] = &[
            ("crontab -l > /backup/crontab", LISTS),
            ("/usr/bin/crontab -l>crontab", LISTS),
            ("crontab -u www-data -l", LISTS),
            ("crontab -lu www-data", LISTS),
            ("cd /backup && crontab -l | gzip > `date +%F`.gz", LISTS),
            ("echo \"$(crontab -l)\" > file", LISTS),
            ("x=`crontab -l`", LISTS),
            ("2>/dev/null crontab -l", LISTS),
            ("if true; then crontab -l; fi", LISTS),
            ("(crontab -l; date)", LISTS),
            ("sudo -u bob crontab -l", LISTS),
            ("LANG=C env -i A=1 nice -n 5 timeout -k 5 10 crontab -l", LISTS),
            ("flock -n /run/lock 'crontab' -l", LISTS),
            ("bash -lc 'crontab -l > x'", LISTS),
            ("su - bob -c \"crontab -l\"", LISTS),
            ("runuser -u bob -- crontab -l", LISTS),
            ("crontab /home/pi/crontab.bak", INSTALLS),
            ("crontab -", INSTALLS),
            ("crontab < table", INSTALLS),
            ("EDITOR=ed crontab -e", INSTALLS),
            ("(crontab -l; echo '1 1 * * * x') | crontab -", BOTH),
            ("crontab -r", REMOVES),
            ("crontab -ri", REMOVES),
        ];
        for (command, calls) in cases {
            assert_eq!(crontab_calls(command.as_bytes()), *calls, "{command}");
        }
    }

    #[test]
    fn other_uses_of_the_word_are_not_calls() {
        let commands = [
            "cp /etc/crontab /backup",
            "cat crontab",
            "/etc/crontab",
            "./crontab",
            "taskq crontab -l",
            "sudo cp crontab /backup",
            "echo 'crontab -l'",
            "echo > crontab",
            "> crontab date",
            "command -v crontab",
            "man 5 crontab",
            "ssh host crontab -l",
            "true # crontab -l",
            "crontab-backup -l",
            "crontab=1",
            "crontab -n table",
            "for x in crontab; do echo $x; done",
            "sh -c",
            "timeout",
            "sudo -u",
            "echo $(echo \"`echo '",
        ];
        for command in commands {
            assert_eq!(crontab_calls(command.as_bytes()), [], "{command}");
        }
    }
}
