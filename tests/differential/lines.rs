//! Owns: random lines of crontabs: plausible ones, and ones with odd bytes, quotes, blanks, lengths and ends.
//! Never: their meaning.

use super::random::Random;

const BLANKS: [&[u8]; 12] =
    [b" ", b" ", b" ", b"\t", b"  ", b" \t ", b"        ", b"\x0b", b"\x0c", b"\r", b"\xa0", b""];
/// Pieces are separated by semicolons.
const NICKNAMES: &[u8] =
    b"@daily;@reboot;@hourly;@weekly;@monthly;@yearly;@annually;@midnight;@DAILY;@dailyx;@every;\
    @;@@daily;@daily\r;@daily,;@dail";
const NAMES: &[u8] =
    b"A;PATH;MAILTO;SHELL;CRON_TZ;TZ;RANDOM_DELAY;LOGNAME;;*;5;@daily;A B;export A;\xc3\x84;\xff;#;A\\";
const VALUES: &[u8] =
    b"b;; ;b c;b # c;$HOME/bin:$PATH;root;a\\\"b;it's;say \"x\";=;b=c;a%b;\xe4;\xff;b\r;\x0bb\x0b;\
    Europe/Paris;45;* * * * * c";
const COMMANDS: &[u8] =
    b";c;true;/usr/bin/x --all >/dev/null 2>&1;*;* c;*c;\"*\";%;%x;c%a%b\\%c;c \\;# c;#;-n c;-x;\
    root c;A=b;=b;\xff;\xffc;c\xff;c\r;\x0bc";
const ODD_BYTES: &[u8] = b"\0\t\x0b\x0c\r \"#%'*,-/0159=@A\\~\x7f\x80\xa0\xbb\xbf\xef\xfe\xff";
/// Lengths around the bounds of Debian's cron for a command, an assignment and a word.
const LENGTHS: [usize; 10] = [90, 100, 996, 997, 998, 999, 1_000, 1_001, 1_500, 5_000];

impl Random {
    /// Returns a file of a few lines, some of them after lines of real tables.
    pub fn odd_table(&mut self, real: &[Vec<u8>]) -> Vec<u8> {
        let count = self.of(&[1, 1, 1, 1, 2, 3]);
        let mut table = Vec::new();
        for _ in 0..count {
            table.extend(self.odd_line(real));
            let ending: &[u8] = if self.below(8) == 7 { b"\r\n" } else { b"\n" };
            table.extend(ending);
        }
        if self.below(12) == 0 {
            table.pop();
        }
        table
    }

    fn odd_line(&mut self, real: &[Vec<u8>]) -> Vec<u8> {
        let mut line = match self.below(18) {
            0 => Vec::new(),
            1 => [b"#", self.piece(COMMANDS)].concat(),
            2..=6 => self.assignment(),
            7 | 8 => [self.piece(NICKNAMES), self.blank(), self.piece(COMMANDS)].concat(),
            9 => self.long_line(),
            10 | 11 => {
                let mut line = real[self.place(real.len())].clone();
                self.spoil(&mut line);
                line
            }
            _ => self.entry(),
        };
        if self.below(4) == 0 {
            line.splice(0..0, self.blank().iter().copied());
        }
        if self.below(6) == 0 {
            line.extend_from_slice(self.blank());
        }
        while self.below(5) == 0 {
            self.spoil(&mut line);
        }
        if self.below(100) == 0 {
            line.splice(0..0, *b"\xef\xbb\xbf");
        }
        line
    }

    fn piece(&mut self, pieces: &'static [u8]) -> &'static [u8] {
        let pieces: Vec<_> = pieces.split(|byte| *byte == b';').collect();
        self.of(&pieces)
    }

    fn blank(&mut self) -> &'static [u8] {
        // The first six are blanks to every cron.
        if self.below(4) == 0 { self.of(&BLANKS) } else { self.of(&BLANKS[..6]) }
    }

    fn assignment(&mut self) -> Vec<u8> {
        let name = self.piece(NAMES);
        let value = self.piece(VALUES);
        let (around_name, around_value) = (self.quotes(), self.quotes());
        let mut line = [around_name, name, around_name].concat();
        if self.below(3) == 0 {
            line.extend_from_slice(self.blank());
        }
        line.push(b'=');
        if self.below(3) == 0 {
            line.extend_from_slice(self.blank());
        }
        line.extend_from_slice(around_value);
        line.extend_from_slice(value);
        // Sometimes the quote is not closed, or closed by the other one.
        line.extend_from_slice(if self.below(10) == 0 { self.quotes() } else { around_value });
        if self.below(10) == 0 {
            line.extend_from_slice(self.of(&[b" # c".as_slice(), b"c", b" \t ", b"\"", b"'"]));
        }
        line
    }

    fn quotes(&mut self) -> &'static [u8] {
        self.of(&[b"".as_slice(), b"", b"", b"\"", b"'"])
    }

    fn entry(&mut self) -> Vec<u8> {
        let count = self.of(&[5, 5, 5, 5, 5, 5, 5, 5, 5, 4, 6, 2]);
        let mut line = Vec::new();
        for index in 0..count {
            let field = if self.below(2) == 0 { b"*".to_vec() } else { self.plain_field(index % 5) };
            line.extend(field);
            line.extend_from_slice(self.blank());
        }
        line.extend_from_slice(self.piece(COMMANDS));
        line
    }

    /// Returns a field that is rarely odd, because a field that is refused hides the rest of its line.
    fn plain_field(&mut self, index: usize) -> Vec<u8> {
        if self.below(6) == 0 {
            self.odd_field(index)
        } else {
            self.strict_fields()[index].clone().into_bytes()
        }
    }

    fn long_line(&mut self) -> Vec<u8> {
        let length = self.of(&LENGTHS);
        let byte = self.of(b"ab\\%=\"' 0*");
        let long = vec![byte; length];
        let quote = self.quotes();
        match self.below(8) {
            0 => [b"A=".as_slice(), &long].concat(),
            1 => [b"A=", quote, &long, quote].concat(),
            2 => [b"A=", quote, &long[..length - 4], quote, b" "].concat(),
            3 => [quote, &long, quote, b"=b"].concat(),
            4 => [b"* * * * * c".as_slice(), &long].concat(),
            5 => [b"* * * * * ".as_slice(), &vec![b'c'; length]].concat(),
            6 => [b"* ".as_slice(), &vec![b' '; length], b"* * * * ", &long[..9]].concat(),
            _ => [b"#".as_slice(), &long].concat(),
        }
    }

    /// Inserts, removes or changes a byte, or repeats a part.
    fn spoil(&mut self, line: &mut Vec<u8>) {
        let at = self.place(line.len() + 1);
        let odd = self.of(ODD_BYTES);
        match self.below(4) {
            0 => line.insert(at, odd),
            1 if at < line.len() => line[at] = odd,
            2 if at < line.len() => {
                line.remove(at);
            }
            _ => {
                let end = at + self.place(line.len() + 1 - at);
                line.extend_from_within(at..end.min(at + 20));
            }
        }
    }
}
