//! Owns: reading Rust source as far as the rules need it: tokens, paths, functions, and what is compiled for
//! tests only.
//! Never: the rules.
//!
//! It is no parser: comments, strings and characters are taken out, braces are counted, and `use` is resolved
//! within one file. Code that hides from it (a glob, a macro that pastes names) gets through; the rules are
//! for honest people.

use std::collections::HashMap;

/// A word, number, `::` or other single character of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    /// From 1.
    pub line: usize,
}

impl Token<'_> {
    fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// A path as it is meant: `Instant::now` under `use std::time::Instant` is `std::time::Instant::now`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathUse {
    pub segments: Vec<String>,
    pub line: usize,
    /// Inside `#[cfg(test)]` or `#[test]`.
    pub in_test: bool,
    /// Called, or with more than one segment: not just a name of something local.
    pub is_reached: bool,
}

/// A function with a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// Replaces comments, strings and characters by blanks; lines stay where they are.
pub fn blank(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = hidden_end(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            // A word is taken whole: the `r` of `var"` does not begin a raw string.
            let word_end = at + chars[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            let end = word_end.max(at + 1);
            out.extend(&chars[at..end]);
            at = end;
        }
    }
    out
}

/// Returns where the comment, string or character that begins at `at` ends; `at` if none does.
fn hidden_end(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let begins = |text: &str| text.chars().enumerate().all(|(i, c)| rest.get(i) == Some(&c));
    if begins("//") {
        return at + rest.iter().take_while(|c| **c != '\n').count();
    }
    if begins("/*") {
        return block_comment_end(chars, at);
    }
    let prefix = rest.iter().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
    if prefix <= 2 {
        let is_raw = prefix > 0 && rest[prefix - 1] == 'r';
        let hashes = if is_raw { rest[prefix..].iter().take_while(|c| **c == '#').count() } else { 0 };
        if rest.get(prefix + hashes) == Some(&'"') {
            let body = at + prefix + hashes + 1;
            return if is_raw { raw_string_end(chars, body, hashes) } else { quoted_end(chars, body, '"') };
        }
    }
    let quote = usize::from(begins("b'"));
    if rest.get(quote) == Some(&'\'') {
        let is_char = rest.get(quote + 1) == Some(&'\\') || rest.get(quote + 2) == Some(&'\'');
        return if is_char { quoted_end(chars, at + quote + 1, '\'') } else { at };
    }
    at
}

fn block_comment_end(chars: &[char], at: usize) -> usize {
    let (mut depth, mut at) = (0, at);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(chars.len())
}

fn raw_string_end(chars: &[char], body: usize, hashes: usize) -> usize {
    let closes = |at: &usize| {
        chars[*at] == '"' && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (body..chars.len()).find(closes).map_or(chars.len(), |at| at + 1 + hashes)
}

fn quoted_end(chars: &[char], body: usize, quote: char) -> usize {
    let mut at = body;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Splits blanked code.
pub fn tokens(blanked: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, line) in blanked.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_wordy = |c: char| c.is_alphanumeric() || c == '_';
            let end = if is_wordy(first) {
                rest.find(|c| !is_wordy(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token { text: &rest[..end], line: index + 1 });
            rest = rest[end..].trim_start();
        }
    }
    tokens
}

/// Says of each token whether it is compiled for tests only.
pub fn test_only(tokens: &[Token]) -> Vec<bool> {
    let mut marks = Vec::with_capacity(tokens.len());
    let mut scopes: Vec<bool> = Vec::new();
    let (mut pending, mut inner) = (false, 0_i32);
    for (index, token) in tokens.iter().enumerate() {
        if token.text == "#" && is_test_attribute(&tokens[index + 1..]) {
            (pending, inner) = (true, 0);
        }
        let inside = scopes.last().copied().unwrap_or(false);
        marks.push(inside || pending);
        match token.text {
            "(" | "[" => inner += 1,
            ")" | "]" => inner -= 1,
            "{" => {
                scopes.push(inside || pending);
                pending = false;
            }
            "}" => drop(scopes.pop()),
            ";" if inner == 0 => pending = false,
            _ => {}
        }
    }
    marks
}

fn is_test_attribute(after_hash: &[Token]) -> bool {
    if after_hash.first().map(|token| token.text) != Some("[") {
        return false;
    }
    let words: Vec<&str> =
        after_hash[1..].iter().map(|token| token.text).take_while(|text| *text != "]").collect();
    words == ["test"] || words.first() == Some(&"cfg") && words.contains(&"test") && !words.contains(&"not")
}

/// Returns the modules inside the file that each token stands in.
fn inline_modules(tokens: &[Token]) -> Vec<Vec<String>> {
    let mut stack: Vec<Option<String>> = Vec::new();
    let mut named = None;
    let mut modules = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        modules.push(stack.iter().flatten().cloned().collect());
        match token.text {
            "mod" => named = tokens.get(index + 1).map(|name| name.text.to_owned()),
            "{" => stack.push(named.take()),
            "}" => drop(stack.pop()),
            ";" => named = None,
            _ => {}
        }
    }
    modules
}

/// Returns every path of the file, those of `use` first. `module` is where the file stands, `["store",
/// "queries"]`; `super` and `self` come out as `crate::…`.
pub fn paths(tokens: &[Token], module: &[&str]) -> Vec<PathUse> {
    let (in_test, modules) = (test_only(tokens), inline_modules(tokens));
    let place = |index: usize| -> Vec<String> {
        module.iter().map(ToString::to_string).chain(modules[index].iter().cloned()).collect()
    };
    let (mut found, mut inline) = (Vec::new(), Vec::new());
    let mut imports: HashMap<String, Vec<String>> = HashMap::new();
    let mut index = 0;
    while index < tokens.len() {
        if tokens[index].text == "use" {
            let (mut leaves, end) = (Vec::new(), tokens[index..].iter().position(|token| token.text == ";"));
            let end = end.map_or(tokens.len(), |end| index + end);
            use_leaves(&tokens[index + 1..end], &[], &mut leaves);
            for (segments, alias, line) in leaves {
                let segments = absolute(segments, &place(index));
                imports.insert(alias, segments.clone());
                found.push(PathUse { segments, line, in_test: in_test[index], is_reached: true });
            }
            index = end;
        } else if tokens[index].is_word() && !continues(tokens, index) {
            let mut segments = vec![tokens[index].text.to_owned()];
            let start = index;
            while tokens.get(index + 1).is_some_and(|t| t.text == "::")
                && tokens.get(index + 2).is_some_and(Token::is_word)
            {
                segments.push(tokens[index + 2].text.to_owned());
                index += 2;
            }
            let is_called = tokens.get(index + 1).is_some_and(|token| token.text == "(");
            let is_named = start > 0 && matches!(tokens[start - 1].text, "." | "fn");
            let is_reached = !is_named && (is_called || segments.len() > 1);
            inline.push((absolute(segments, &place(start)), start, is_reached));
        }
        index += 1;
    }
    for (segments, start, is_reached) in inline {
        let head = imports.get(&segments[0]).filter(|_| is_reached);
        let segments = head
            .cloned()
            .into_iter()
            .flatten()
            .chain(segments.iter().skip(usize::from(head.is_some())).cloned());
        found.push(PathUse {
            segments: segments.collect(),
            line: tokens[start].line,
            in_test: in_test[start],
            is_reached,
        });
    }
    found
}

/// A word behind `a::` belongs to the path that began there; behind a bare `::` it begins one.
fn continues(tokens: &[Token], index: usize) -> bool {
    index >= 2
        && tokens[index - 1].text == "::"
        && (tokens[index - 2].is_word() || tokens[index - 2].text == ">")
}

fn use_leaves(tree: &[Token], prefix: &[String], leaves: &mut Vec<(Vec<String>, String, usize)>) {
    let mut segments = prefix.to_vec();
    let mut alias = None;
    let mut index = 0;
    while index < tree.len() {
        match tree[index].text {
            "{" => {
                let inside = &tree[index + 1..tree.len() - 1];
                for part in split_commas(inside) {
                    use_leaves(part, &segments, leaves);
                }
                return;
            }
            "as" => alias = tree.get(index + 1).map(|token| token.text.to_owned()),
            "self" if !segments.is_empty() => {}
            text if alias.is_none() && (tree[index].is_word() || text == "*") => {
                segments.push(text.to_owned());
            }
            _ => {}
        }
        index += 1;
    }
    if let (Some(last), Some(first)) = (segments.last().cloned(), tree.first()) {
        leaves.push((segments, alias.unwrap_or(last), first.line));
    }
}

fn split_commas<'a, 'b>(tokens: &'b [Token<'a>]) -> Vec<&'b [Token<'a>]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (index, token) in tokens.iter().enumerate() {
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 0 => {
                parts.push(&tokens[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts.retain(|part| !part.is_empty());
    parts
}

fn absolute(segments: Vec<String>, module: &[String]) -> Vec<String> {
    let supers = segments.iter().skip_while(|s| *s == "self").take_while(|s| *s == "super").count();
    let selfs = segments.iter().take_while(|s| *s == "self").count();
    if segments.len() < 2 || supers + selfs == 0 {
        return segments;
    }
    let kept = &module[..module.len().saturating_sub(supers)];
    let head = std::iter::once("crate".to_owned()).chain(kept.iter().cloned());
    head.chain(segments.into_iter().skip(supers + selfs)).collect()
}

/// Returns every function that has a body.
pub fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut functions = Vec::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        if pair[0].text == "fn"
            && pair[1].is_word()
            && let Some(end) = body_end(&tokens[index..])
        {
            let lines = end - pair[0].line + 1;
            functions.push(Function { name: pair[1].text.to_owned(), line: pair[0].line, lines });
        }
    }
    functions
}

/// Returns the line of the brace that closes the body; `None` for a declaration.
fn body_end(tokens: &[Token]) -> Option<usize> {
    let (mut braces, mut inner) = (0, 0);
    for token in tokens {
        match token.text {
            "(" | "[" => inner += 1,
            ")" | "]" => inner -= 1,
            ";" if braces == 0 && inner == 0 => return None,
            "{" => braces += 1,
            "}" if braces == 1 => return Some(token.line),
            "}" => braces -= 1,
            _ => {}
        }
    }
    None
}
