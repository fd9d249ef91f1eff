//! Owns: the commands of a service as a command of ours: variables are expanded, failures are ignored.
//! Never: quoting and specifiers of unit files, which systemd has read already.

use super::properties::ExecCommand;
use crate::domain::CommandLine;

/// Returns the command that does what these do one after the other; `None` if there is none.
///
/// systemd puts variables into the arguments itself, so a shell does it here.
pub fn command_of(commands: &[ExecCommand]) -> Option<CommandLine> {
    let has = |command: &ExecCommand, flag: &str| command.flags.iter().any(|known| known == flag);
    if let [only] = commands
        && !has(only, "ignore-failure")
        && (has(only, "no-env-expand") || !only.argv.iter().any(|arg| uses_variables(arg)))
    {
        return Some(CommandLine::Argv(words(only, |arg| {
            if has(only, "no-env-expand") { arg.to_owned() } else { arg.replace("$$", "$") }.into_bytes()
        })));
    }
    let mut parts = Vec::new();
    for command in commands {
        let is_literal = has(command, "no-env-expand");
        let word = |arg: &str| if is_literal { quoted(arg) } else { shell_word(arg) }.into_bytes();
        let mut part = words(command, word).join(&b' ');
        if has(command, "ignore-failure") {
            part = [b"{ ", part.as_slice(), b" || :; }"].concat();
        }
        parts.push(part);
    }
    if parts.is_empty() {
        return None;
    }
    // A variable that is a word by itself is split, but is not a pattern for file names.
    let prelude = if commands.iter().flat_map(|command| &command.argv).any(|arg| is_split(arg)) {
        b"set -f; ".as_slice()
    } else {
        b""
    };
    Some(CommandLine::Script([prelude, &parts.join(b" && ".as_slice())].concat()))
}

/// Returns the words of a command, each as `word` makes it. The first is the path of the program.
fn words(command: &ExecCommand, word: impl Fn(&str) -> Vec<u8>) -> Vec<Vec<u8>> {
    let path = command.path.as_str();
    let args = command.argv.iter().skip(1).map(String::as_str);
    std::iter::once(path).chain(args).map(word).collect()
}

/// Returns whether a command is started under another name than that of its program.
pub fn is_renamed(command: &ExecCommand) -> bool {
    command.argv.first().is_some_and(|name| *name != command.path)
}

/// Returns whether an argument is a variable whose value is split into words: `$ARGS`.
fn is_split(arg: &str) -> bool {
    arg.strip_prefix('$').is_some_and(is_name)
}

fn is_name(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && !text.as_bytes()[0].is_ascii_digit() && text.bytes().all(is_sign)
}

fn uses_variables(arg: &str) -> bool {
    is_split(arg) || variable_in(arg).is_some()
}

/// Returns the place of the first `${NAME}`, with its end. `$$` is not the beginning of one.
fn variable_in(arg: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    while let Some(dollar) = arg[at..].find('$').map(|place| at + place) {
        let rest = &arg[dollar + 1..];
        if rest.starts_with('$') {
            at = dollar + 2;
            continue;
        }
        let name = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
        if let Some(name) = name.filter(|name| is_name(name)) {
            return Some((dollar, dollar + name.len() + 3));
        }
        at = dollar + 1;
    }
    None
}

/// Returns a text as a word that every shell reads back.
fn quoted(text: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:,+@".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_bare) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Returns an argument as a word of a shell script.
fn shell_word(arg: &str) -> String {
    if is_split(arg) {
        return arg.to_owned();
    }
    let literal = |text: &str| quoted(&text.replace("$$", "$"));
    let mut word = String::new();
    let mut rest = arg;
    while let Some((begin, end)) = variable_in(rest) {
        if begin > 0 {
            word.push_str(&literal(&rest[..begin]));
        }
        word.push_str(&format!("\"{}\"", &rest[begin..end]));
        rest = &rest[end..];
    }
    if !rest.is_empty() || word.is_empty() {
        word.push_str(&literal(rest));
    }
    word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exec(argv: &[&str], flags: &[&str]) -> ExecCommand {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        ExecCommand { path: argv[0].to_owned(), argv: texts(argv), flags: texts(flags) }
    }

    fn script(commands: &[ExecCommand]) -> String {
        match command_of(commands) {
            Some(CommandLine::Script(script)) => String::from_utf8(script).expect("it is text"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_without_variables_needs_no_shell() {
        let argv = |words: &[&str]| {
            Some(CommandLine::Argv(words.iter().map(|word| word.as_bytes().to_vec()).collect()))
        };
        assert_eq!(command_of(&[exec(&["/bin/echo", "a b", "$$5"], &[])]), argv(&["/bin/echo", "a b", "$5"]));
        assert_eq!(
            command_of(&[exec(&["/bin/echo", "${A}"], &["no-env-expand"])]),
            argv(&["/bin/echo", "${A}"])
        );
        // Only braces are expanded inside a word.
        assert_eq!(
            command_of(&[exec(&["/bin/sh", "-c", "echo $X"], &[])]),
            argv(&["/bin/sh", "-c", "echo $X"])
        );
        assert_eq!(command_of(&[]), None);
    }

    #[test]
    fn variables_and_several_commands_are_a_script() {
        assert_eq!(
            script(&[exec(&["/bin/echo", "a${A}'b", "$ARGS"], &[])]),
            r#"set -f; /bin/echo a"${A}"''\''b' $ARGS"#
        );
        assert_eq!(
            script(&[exec(&["/bin/a", "x y"], &["ignore-failure"]), exec(&["/bin/b", "$$${C}"], &[])]),
            r#"{ /bin/a 'x y' || :; } && /bin/b '$'"${C}""#
        );
    }

    proptest! {
        #[test]
        fn no_argument_panics(args in proptest::collection::vec("[a$\\{\\}_ 'é]{0,8}", 1..4)) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let _ = command_of(&[exec(&args, &[])]);
        }
    }
}
