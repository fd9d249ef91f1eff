//! Owns: random lines of crontabs: plausible ones, and ones with odd bytes, quotes, blanks, lengths and ends.
//! Never: what they mean.

use super::random::Random;

const BLANKS: [&[u8]; 12] =
    [b" ", b" ", b" ", b"\t", b"  ", b" \t ", b"        ", b"\x0b", b"\x0c", b"\r", b"\xa0", b""];
const NICKNAMES: [&[u8]; 16] = [
    b"@daily",
    b"@reboot",
    b"@hourly",
    b"@weekly",
    b"@monthly",
    b"@yearly",
    b"@annually",
    b"@midnight",
    b"@DAILY",
    b"@dailyx",
    b"@every",
    b"@",
    b"@@daily",
    b"@daily\r",
    b"@daily,",
    b"@dail",
];
const NAMES: [&[u8]; 18] = [
    b"A",
    b"PATH",
    b"MAILTO",
    b"SHELL",
    b"CRON_TZ",
    b"TZ",
    b"RANDOM_DELAY",
    b"LOGNAME",
    b"",
    b"*",
    b"5",
    b"@daily",
    b"A B",
    b"export A",
    b"\xc3\x84",
    b"\xff",
    b"#",
    b"A\\",
];
const VALUES: [&[u8]; 20] = [
    b"b",
    b"",
    b" ",
    b"b c",
    b"b # c",
    b"$HOME/bin:$PATH",
    b"root",
    b"a\\\"b",
    b"it's",
    b"say \"x\"",
    b"=",
    b"b=c",
    b"a%b",
    b"\xe4",
    b"\xff",
    b"b\r",
    b"\x0bb\x0b",
    b"Europe/Paris",
    b"45",
    b"* * * * * c",
];
const COMMANDS: [&[u8]; 24] = [
    b"",
    b"c",
    b"true",
    b"/usr/bin/x --all >/dev/null 2>&1",
    b"*",
    b"* c",
    b"*c",
    b"\"*\"",
    b"%",
    b"%x",
    b"c%a%b\\%c",
    b"c \\",
    b"# c",
    b"#",
    b"-n c",
    b"-x",
    b"root c",
    b"A=b",
    b"=b",
    b"\xff",
    b"\xffc",
    b"c\xff",
    b"c\r",
    b"\x0bc",
];
const ODD_BYTES: &[u8] = b"\0\t\x0b\x0c\r \"#%'*,-/0159=@A\\~\x7f\x80\xa0\xbb\xbf\xef\xfe\xff";
/// Lengths about which Debian's cron stops reading a command, an assignment or a word.
const LENGTHS: [usize; 10] = [90, 100, 996, 997, 998, 999, 1_000, 1_001, 1_500, 5_000];

impl Random {
    /// Returns a file of a few lines, some of them after lines of real tables.
    pub fn odd_table(&mut self, real: &[Vec<u8>]) -> Vec<u8> {
        let count = self.of(&[1, 1, 1, 1, 2, 3]);
        let mut table = Vec::new();
        for _ in 0..count {
            table.extend(self.odd_line(real));
            table.extend_from_slice(self.of(&[
                b"\n".as_slice(),
                b"\n",
                b"\n",
                b"\n",
                b"\n",
                b"\n",
                b"\n",
                b"\r\n",
            ]));
        }
        if self.below(12) == 0 {
            table.pop();
        }
        table
    }

    fn odd_line(&mut self, real: &[Vec<u8>]) -> Vec<u8> {
        let mut line = match self.below(18) {
            0 => Vec::new(),
            1 => [b"#".as_slice(), self.of(&COMMANDS)].concat(),
            2..=6 => self.assignment(),
            7 | 8 => [self.of(&NICKNAMES), self.blank(), self.of(&COMMANDS)].concat(),
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

    fn blank(&mut self) -> &'static [u8] {
        // The first six are blanks to every cron.
        if self.below(4) == 0 { self.of(&BLANKS) } else { self.of(&BLANKS[..6]) }
    }

    fn assignment(&mut self) -> Vec<u8> {
        let name = self.of(&NAMES);
        let value = self.of(&VALUES);
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
        // Now and then it is not closed, or by the other quote.
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
        line.extend_from_slice(self.of(&COMMANDS));
        line
    }

    /// Returns a field that is odd now and then: one that is refused hides the rest of its line.
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

    /// Puts a byte in, takes one out, changes one, or writes a part twice.
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
