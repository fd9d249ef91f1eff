//! Owns: random fields: plausible ones, odd ones, junk. The same seed gives the same fields.
//! Never: their meaning.

/// A small generator of numbers (SplitMix64).
pub struct Random(pub u64);

const LOW: [u64; 5] = [0, 0, 1, 1, 0];
const HIGH: [u64; 5] = [59, 23, 31, 12, 7];
const MONTHS: [&str; 12] =
    ["jan", "FEB", "Mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "MON", "Tue", "wed", "thu", "fri", "sat"];
const STEPS: [u64; 16] = [1, 2, 2, 3, 4, 5, 7, 8, 10, 12, 15, 24, 31, 32, 60, 70];
const LARGE: [&str; 8] = [
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "4294967299",
    "9223372036854775808",
    "18446744073709551617",
    "99999999999999999999999",
];
const WORDS: [&str; 12] = ["sunday", "su", "l", "15W", "5L", "0x10", "5a", "H", "?", "R", "+5", "-1"];
const ODD: [&str; 8] = ["~", "0~9", "~9", "9~", "*/2/3", "5/15", "1-5-7", "*-5"];

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.place(all.len())]
    }

    /// Returns a second of the years 2020 to 2030, often shortly before a transition in Berlin.
    pub fn instant(&mut self) -> i64 {
        const CHANGES: [i64; 4] = [1_711_846_800, 1_729_990_800, 1_774_746_000, 1_792_890_000];
        let offset = |seconds: u64| i64::try_from(seconds).expect("it is small");
        if self.below(2) == 0 {
            self.of(&CHANGES) - 86_400 + offset(self.below(86_400))
        } else {
            1_577_836_800 + offset(self.below(315_360_000))
        }
    }

    /// Returns an index below a count.
    pub fn place(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).expect("it is below a usize")
    }

    /// Returns five fields of the strict grammar, without ranges of one value.
    pub fn strict_fields(&mut self) -> [String; 5] {
        [0, 1, 2, 3, 4].map(|index| match self.below(3) {
            0 => "*".to_owned(),
            _ => {
                let items = self.of(&[1, 1, 1, 2, 3]);
                (0..items).map(|_| self.strict_item(index)).collect::<Vec<_>>().join(",")
            }
        })
    }

    fn strict_item(&mut self, index: usize) -> String {
        let inside = |random: &mut Self| LOW[index] + random.below(HIGH[index] - LOW[index] + 1);
        let (one, other) = (inside(self), inside(self));
        match self.below(6) {
            0 => "*".to_owned(),
            1 => format!("*/{}", self.of(&STEPS)),
            2 if one != other => format!("{}-{}", one.min(other), one.max(other)),
            3 if one != other => format!("{}-{}/{}", one.min(other), one.max(other), self.of(&STEPS)),
            _ => self.named(index, one),
        }
    }

    /// Writes a value as itself or by its name.
    fn named(&mut self, index: usize, value: u64) -> String {
        let place = usize::try_from(value).expect("it is small");
        match (index, self.below(3)) {
            (3, 0) => MONTHS[(place + 11) % 12].to_owned(),
            (4, 0) => WEEKDAYS[place % 7].to_owned(),
            _ => value.to_string(),
        }
    }

    /// Returns five fields, most of them plausible. No line of them is a comment, assignment or nickname.
    pub fn odd_fields(&mut self) -> [Vec<u8>; 5] {
        [0, 1, 2, 3, 4].map(|index| {
            loop {
                let field = self.odd_field(index);
                let begins_well = field.first().is_some_and(|byte| !b"#@\"'\xff".contains(byte));
                // A `=` would make the line an assignment.
                if begins_well && !field.iter().any(|byte| b"\0\t\n\r =".contains(byte)) {
                    return field;
                }
            }
        })
    }

    /// Returns one of five fields, with any bytes.
    pub fn odd_field(&mut self, index: usize) -> Vec<u8> {
        if self.below(4) == 0 {
            return b"*".to_vec();
        }
        let items = self.of(&[1, 1, 1, 2, 2, 4]);
        let mut field = (0..items).map(|_| self.odd_item(index)).collect::<Vec<_>>().join(",").into_bytes();
        if self.below(12) == 0 {
            let place = self.below(field.len() as u64 + 1);
            let junk = if self.below(3) == 0 {
                u8::try_from(self.below(256)).expect("it is a byte")
            } else {
                self.of(b"*-,/~#.019aL?+:;@")
            };
            field.insert(usize::try_from(place).expect("it is in the field"), junk);
        }
        field
    }

    fn odd_item(&mut self, index: usize) -> String {
        if self.below(40) == 0 {
            return self.of(&ODD).to_owned();
        }
        let mut item = match self.below(4) {
            0 => "*".to_owned(),
            1 | 2 => {
                let (one, other) = (self.odd_value(index), self.odd_value(index));
                // Most run forwards.
                match (one.parse::<u64>(), other.parse::<u64>()) {
                    (Ok(low), Ok(high)) if low > high && self.below(4) != 0 => format!("{other}-{one}"),
                    _ => format!("{one}-{other}"),
                }
            }
            _ => self.odd_value(index),
        };
        if (item.contains(['*', '-']) && self.below(3) == 0) || self.below(60) == 0 {
            item.push('/');
            item.push_str(&if self.below(20) == 0 { self.odd_value(3) } else { self.of(&STEPS).to_string() });
        }
        item
    }

    fn odd_value(&mut self, index: usize) -> String {
        match self.below(60) {
            0 => (HIGH[index] + 1).to_string(),
            1 => (LOW[index].max(1) - 1).to_string(),
            2 => self.of(&LARGE).to_owned(),
            3 if self.below(4) == 0 => self.of(&WORDS).to_owned(),
            4 if self.below(4) == 0 => {
                let zeros = self.of(&[1, 2, 30, 997, 998, 999, 1_000]);
                format!("{}{}", "0".repeat(zeros), 1 + self.below(7))
            }
            _ => {
                let value = LOW[index] + self.below(HIGH[index] - LOW[index] + 1);
                self.named(index, value)
            }
        }
    }
}
