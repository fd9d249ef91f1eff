//! Owns: which part of a typed command line the cursor is at, by the definitions of the options.
//! Never: what can stand there.

use clap::{Arg, Command};

/// A command line up to the cursor.
pub struct Line {
    /// The verb that was typed, as in `queue set`; empty: none yet.
    pub verb: String,
    /// Its definition, or that of taskq.
    pub command: Command,
    /// The value of `--dir`.
    pub dir: Option<String>,
    /// The arguments that were given, each with its value or an empty text.
    pub given: Vec<(String, String)>,
    pub place: Place,
}

/// What the word at the cursor is.
pub enum Place {
    Verb,
    /// The name of an option.
    Option,
    /// A value.
    Value {
        argument: Box<Arg>,
        /// The part of the word before the value, `--queue=`.
        head: String,
        text: String,
    },
    /// A word of the command of a job, whose first word has this index.
    Command(usize),
    /// Nothing can stand there.
    End,
}

/// Reads the words of a line, the first of which is the name of the program, and the last one the word at the
/// cursor.
pub fn read(full: &Command, words: &[String]) -> Line {
    let mut walk = Walk::new(full);
    let (last, before) = words.split_last().map_or((String::new(), &[][..]), |(last, before)| {
        (last.clone(), before.get(1..).unwrap_or_default())
    });
    for (index, word) in before.iter().enumerate() {
        walk.pass(word, index + 1);
    }
    let place = walk.place(last, before.len() + 1);
    let Walk { command, path, dir, given, .. } = walk;
    Line { verb: path.join(" "), command, dir, given, place }
}

/// How far a line is read.
struct Walk {
    /// The definition of the verb so far.
    command: Command,
    path: Vec<String>,
    dir: Option<String>,
    given: Vec<(String, String)>,
    /// The option whose value comes next.
    pending: Option<Arg>,
    /// After `--`.
    is_escaped: bool,
    /// How many arguments were given that are no options.
    positionals: usize,
    /// The first word of the command of a job.
    command_at: Option<usize>,
    /// A word is none of the verbs.
    is_lost: bool,
}

/// Whether an argument is that of all verbs.
fn is_dir(argument: &Arg) -> bool {
    argument.get_id() == "dir" && argument.is_global_set()
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_action().takes_values()
}

/// Returns the definition of one verb, with its own options and those of all verbs. The whole grammar takes
/// longer to build.
fn built(verb: &Command, globals: &[Arg]) -> Command {
    let mut verb = verb.clone().disable_help_subcommand(true).args(globals);
    verb.build();
    verb
}

impl Walk {
    fn new(full: &Command) -> Self {
        Self {
            command: full.clone(),
            path: Vec::new(),
            dir: None,
            given: Vec::new(),
            pending: None,
            is_escaped: false,
            positionals: 0,
            command_at: None,
            is_lost: false,
        }
    }

    fn long(&self, name: &str) -> Option<Arg> {
        self.command.get_arguments().find(|argument| argument.get_long() == Some(name)).cloned()
    }

    fn short(&self, letter: char) -> Option<Arg> {
        self.command.get_arguments().find(|argument| argument.get_short() == Some(letter)).cloned()
    }

    /// Returns the argument that the next word is, if it is no option.
    fn positional(&self) -> Option<Arg> {
        let all: Vec<&Arg> = self.command.get_positionals().collect();
        let is_repeated =
            |argument: &&&Arg| argument.get_num_args().is_some_and(|count| count.max_values() > 1);
        all.get(self.positionals).or_else(|| all.last().filter(is_repeated)).map(|found| (*found).clone())
    }

    fn give(&mut self, argument: &Arg, value: &str) {
        if is_dir(argument) {
            self.dir = Some(value.to_owned());
        }
        self.given.push((argument.get_id().to_string(), value.to_owned()));
    }

    /// Reads a word before the cursor.
    fn pass(&mut self, word: &str, index: usize) {
        if self.command_at.is_some() {
            return;
        }
        if let Some(argument) = self.pending.take() {
            return self.give(&argument, word);
        }
        if self.is_escaped {
            return self.pass_positional(word, index);
        }
        match word.strip_prefix("--") {
            Some("") => self.is_escaped = true,
            Some(option) => self.pass_long(option),
            None => match word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                Some(letters) => self.pass_shorts(letters),
                None => self.pass_positional(word, index),
            },
        }
    }

    fn pass_long(&mut self, option: &str) {
        let (name, value) =
            option.split_once('=').map_or((option, None), |(name, value)| (name, Some(value)));
        let Some(argument) = self.long(name) else { return };
        match value {
            Some(value) => self.give(&argument, value),
            None if takes_value(&argument) => self.pending = Some(argument),
            None => self.give(&argument, ""),
        }
    }

    fn pass_shorts(&mut self, letters: &str) {
        for (at, letter) in letters.char_indices() {
            let Some(argument) = self.short(letter) else { return };
            if !takes_value(&argument) {
                self.give(&argument, "");
                continue;
            }
            match &letters[at + letter.len_utf8()..] {
                "" => self.pending = Some(argument),
                value => self.give(&argument, value.strip_prefix('=').unwrap_or(value)),
            }
            return;
        }
    }

    fn pass_positional(&mut self, word: &str, index: usize) {
        if self.positionals == 0
            && !self.is_escaped
            && let Some(verb) = self.command.find_subcommand(word)
        {
            let globals: Vec<Arg> =
                self.command.get_arguments().filter(|argument| argument.is_global_set()).cloned().collect();
            self.path.push(verb.get_name().to_owned());
            // A verb below a verb is built with it.
            self.command = if self.path.len() == 1 { built(verb, &globals) } else { verb.clone() };
            return;
        }
        let Some(argument) = self.positional() else {
            self.is_lost |= self.command.has_subcommands();
            return;
        };
        if argument.is_trailing_var_arg_set() {
            self.command_at = Some(index);
        }
        self.give(&argument, word);
        self.positionals += 1;
    }

    /// Tells what the word at the cursor is.
    fn place(&mut self, word: String, index: usize) -> Place {
        if let Some(first) = self.command_at {
            return Place::Command(first);
        }
        if self.is_lost {
            return Place::End;
        }
        if let Some(argument) = self.pending.take() {
            return Place::Value { argument: Box::new(argument), head: String::new(), text: word };
        }
        if self.path.is_empty() {
            self.command = built_alone(&self.command);
        }
        if word.starts_with('-') && !self.is_escaped {
            return self.place_of_option(&word);
        }
        if self.command.has_subcommands() && self.positionals == 0 && !self.is_escaped {
            return Place::Verb;
        }
        match self.positional() {
            Some(argument) if argument.is_trailing_var_arg_set() => Place::Command(index),
            Some(argument) => Place::Value { argument: Box::new(argument), head: String::new(), text: word },
            None if word.is_empty() && !self.is_escaped => Place::Option,
            None => Place::End,
        }
    }

    fn place_of_option(&self, word: &str) -> Place {
        let value = |argument: Option<Arg>, head: &str| match argument.filter(takes_value) {
            Some(argument) => Place::Value {
                argument: Box::new(argument),
                head: head.to_owned(),
                text: word[head.len()..].to_owned(),
            },
            None => Place::End,
        };
        if let Some(option) = word.strip_prefix("--") {
            return match option.split_once('=') {
                Some((name, _)) => value(self.long(name), &word[..name.len() + 3]),
                None => Place::Option,
            };
        }
        // `-Rgpu`: a value follows its option at once.
        match word[1..].chars().next() {
            Some(letter) if word.len() > 1 + letter.len_utf8() => {
                value(self.short(letter), &word[..1 + letter.len_utf8()])
            }
            _ => Place::Option,
        }
    }
}

/// Returns the definition of taskq with its options, and with its verbs as they are.
fn built_alone(full: &Command) -> Command {
    let mut alone = Command::new("taskq").version("").args(full.get_arguments().cloned());
    alone.build();
    alone.subcommands(full.get_subcommands().cloned())
}
