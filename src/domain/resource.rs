//! Owns: resources: their names, what a run needs of them, and what it has.
//! Never: how much there is, or who has it (see `engine`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{InvalidId, Size, value_of};

/// The name of a resource: 1 to 32 small letters, digits and `_`, the first a letter. So each has a variable
/// of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ResourceName(String);

/// Names whose variable says something else.
const TAKEN: [&str; 20] = [
    "after_runs",
    "attempt",
    "depth",
    "dir",
    "event",
    "event_count",
    "event_file",
    "index",
    "item",
    "job",
    "name",
    "parent_exit_code",
    "parent_outcome",
    "parent_result_file",
    "parent_run",
    "result_file",
    "run",
    "scheduled_at",
    "sendmail",
    "trigger",
];

impl ResourceName {
    /// The CPUs of the machine. It is there without being set.
    pub const CPU: &'static str = "cpu";

    /// The memory of the machine, in bytes. It is there without being set.
    pub const MEM: &'static str = "mem";

    pub fn cpu() -> Self {
        Self(Self::CPU.to_owned())
    }

    pub fn mem() -> Self {
        Self(Self::MEM.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether a control group can hold a run to an amount of it.
    pub fn is_enforceable(&self) -> bool {
        [Self::CPU, Self::MEM].contains(&self.as_str())
    }

    /// Returns whether amounts of it are numbers of bytes.
    pub fn is_in_bytes(&self) -> bool {
        self.0 == Self::MEM
    }

    /// Returns the variable that tells a run which of them it has: `TASKQ_GPU`.
    pub fn variable(&self) -> String {
        format!("TASKQ_{}", self.0.to_ascii_uppercase())
    }

    /// Returns the resource whose parts a variable of this name tells; `None`: that of no resource.
    pub fn of_variable(name: &[u8]) -> Option<Self> {
        let part = str::from_utf8(name.strip_prefix(b"TASKQ_")?).ok()?.to_ascii_lowercase();
        let resource: Self = part.parse().ok()?;
        (resource.variable().as_bytes() == name && !resource.is_in_bytes()).then_some(resource)
    }

    /// Reads an amount of it: a whole number; of memory a size.
    ///
    /// # Errors
    ///
    /// The text is no amount, or a larger one than `AMOUNT_MAX`.
    pub fn read_amount(&self, text: &str) -> Result<u64, InvalidId> {
        let wrong = |cause: String| InvalidId::new(format!("{cause}, in `{self}={text}`"));
        if self.is_in_bytes() {
            return text.parse::<Size>().map(Size::as_bytes).map_err(wrong);
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong("the amount of a resource is a whole number".to_owned()));
        }
        let amount = text.parse().ok().filter(|amount| *amount <= AMOUNT_MAX);
        amount.ok_or_else(|| wrong(format!("an amount is at most {AMOUNT_MAX}")))
    }

    /// Returns the text of an amount of it.
    pub fn amount_text(&self, amount: u64) -> String {
        if self.is_in_bytes() { Size::from_bytes(amount).to_string() } else { amount.to_string() }
    }
}

/// The greatest amount of a resource, that of a size.
pub const AMOUNT_MAX: u64 = Size::MAX.as_bytes();

impl FromStr for ResourceName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_fit = text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.len() <= 32
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_fit {
            return Err(InvalidId::new(format!(
                "`{text}` is not the name of a resource: that has 1 to 32 small letters, digits and `_`, \
                 and begins with a letter"
            )));
        }
        if TAKEN.contains(&text) {
            return Err(InvalidId::new(format!(
                "the variable `TASKQ_{}` has another meaning, so no resource is called `{text}`",
                text.to_ascii_uppercase()
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ResourceName {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How large the machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineSize {
    /// The CPUs that may be used.
    pub cpus: u64,
    /// The memory that runs can book, in bytes.
    pub memory: u64,
}

impl MachineSize {
    /// Returns how much there is of the resources that need not be set.
    pub fn capacities(self) -> BTreeMap<ResourceName, u64> {
        [(ResourceName::cpu(), self.cpus), (ResourceName::mem(), self.memory)].into()
    }
}

/// Reads `NAME=N`.
///
/// # Errors
///
/// The text has no `=`, no name before it, or no amount of that resource after it.
pub fn read_assignment(text: &str) -> Result<(ResourceName, u64), InvalidId> {
    let Some((name, amount)) = text.split_once('=') else {
        return Err(InvalidId::new(format!("`{text}` is not `NAME=N`, as in `gpu=1`")));
    };
    let name: ResourceName = name.parse()?;
    let amount = name.read_amount(amount)?;
    Ok((name, amount))
}

/// How much of which resources a run needs. Each amount is at least 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Needs(BTreeMap<ResourceName, u64>);

impl Needs {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ResourceName, u64)> {
        self.0.iter().map(|(name, amount)| (name, *amount))
    }

    /// Returns the needed amount of a resource.
    pub fn of(&self, name: &ResourceName) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// Adds what other needs name.
    ///
    /// # Errors
    ///
    /// A resource is in both.
    pub fn join(mut self, other: Self) -> Result<Self, InvalidId> {
        for (name, amount) in other.0 {
            self.add(&name, amount)?;
        }
        Ok(self)
    }

    fn add(&mut self, name: &ResourceName, amount: u64) -> Result<(), InvalidId> {
        if amount == 0 {
            return Err(InvalidId::new(format!("a run needs at least 1 of `{name}`, or does not name it")));
        }
        match self.0.insert(name.clone(), amount) {
            None => Ok(()),
            Some(_) => Err(InvalidId::new(format!("`{name}` is named twice"))),
        }
    }
}

/// Reads `NAME=N,…`.
impl FromStr for Needs {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut needs = Self::default();
        for part in text.split(',') {
            let (name, amount) = read_assignment(part)?;
            needs.add(&name, amount)?;
        }
        Ok(needs)
    }
}

/// Writes what `FromStr` reads: `cpu=2,mem=4G`.
impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> =
            self.iter().map(|(name, amount)| format!("{name}={}", name.amount_text(amount))).collect();
        f.write_str(&texts.join(","))
    }
}

/// What a run has of one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Portion {
    /// These of them, counted from 0, ascending.
    Indices(Vec<u32>),
    /// So much of a resource that is too large to count its parts.
    Amount(u64),
}

impl Portion {
    pub fn amount(&self) -> u64 {
        match self {
            Self::Indices(indices) => indices.len() as u64,
            Self::Amount(amount) => *amount,
        }
    }
}

/// What a run has of the resources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(BTreeMap<ResourceName, Portion>);

impl Share {
    pub fn new(portions: impl IntoIterator<Item = (ResourceName, Portion)>) -> Self {
        Self(portions.into_iter().collect())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ResourceName, &Portion)> {
        self.0.iter()
    }

    pub fn portion(&self, name: &ResourceName) -> Option<&Portion> {
        self.0.get(name)
    }

    /// Returns the part of it that covers these needs; `None` if it does not cover them. It takes the lowest
    /// indices.
    pub fn part_for(&self, needs: &Needs) -> Option<Self> {
        let portion = |(name, amount): (&ResourceName, u64)| {
            let portion = match self.0.get(name).filter(|portion| portion.amount() >= amount)? {
                Portion::Indices(indices) => {
                    Portion::Indices(indices[..usize::try_from(amount).ok()?].to_vec())
                }
                Portion::Amount(_) => Portion::Amount(amount),
            };
            Some((name.clone(), portion))
        };
        needs.iter().map(portion).collect::<Option<_>>().map(Self)
    }

    /// Returns the variables that tell a run which of the resources it has, `TASKQ_GPU=0,1`.
    pub fn variables(&self) -> Vec<Vec<u8>> {
        let variable = |(name, portion): (&ResourceName, &Portion)| match portion {
            Portion::Indices(indices) => Some(format!("{}={}", name.variable(), list(indices)).into_bytes()),
            Portion::Amount(_) => None,
        };
        self.0.iter().filter_map(variable).collect()
    }

    /// Returns what a process has whose run needs this, by the variables in its environment.
    pub fn from_variables(needs: &Needs, env: &[Vec<u8>]) -> Self {
        let portion = |(name, amount): (&ResourceName, u64)| {
            let value = value_of(env, &name.variable()).and_then(|value| str::from_utf8(value).ok());
            let indices: Option<Vec<u32>> =
                value.and_then(|value| value.split(',').map(|index| index.parse().ok()).collect());
            let indices = indices.filter(|indices| indices.len() as u64 == amount);
            (name.clone(), indices.map_or(Portion::Amount(amount), Portion::Indices))
        };
        Self::new(needs.iter().map(portion))
    }
}

fn list(indices: &[u32]) -> String {
    indices.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// Writes `gpu=0,1 mem=4G`: indices where it has some.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |(name, portion): (&ResourceName, &Portion)| match portion {
            Portion::Indices(indices) => format!("{name}={}", list(indices)),
            Portion::Amount(amount) => format!("{name}={}", name.amount_text(*amount)),
        };
        f.write_str(&self.0.iter().map(text).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(text: &str) -> Needs {
        text.parse().expect(text)
    }

    fn share(text: &str) -> Share {
        serde_json::from_str(text).expect(text)
    }

    #[test]
    fn needs_are_written_as_they_are_read() {
        for text in ["gpu=1", "cpu=2,mem=4G", "a1_b=10,mem=1"] {
            assert_eq!(needs(text).to_string(), text);
        }
        assert_eq!(needs("mem=4g,cpu=2").to_string(), "cpu=2,mem=4G");
    }

    #[test]
    fn a_bad_need_is_refused() {
        let bad = [
            "",
            "gpu",
            "=1",
            "gpu=",
            "gpu=0",
            "gpu=-1",
            "gpu=+1",
            "gpu=1.5",
            "gpu=1G",
            "mem=1.5G",
            "mem=0",
            "GPU=1",
            "1gpu=1",
            "g-pu=1",
            "gpu=1,",
            "gpu=1,gpu=1",
            "gpu=99999999999999999999",
            "run=1",
            "gpü=1",
        ];
        for text in bad {
            assert!(text.parse::<Needs>().is_err(), "{text}");
        }
        assert!("a".repeat(33).parse::<ResourceName>().is_err());
        assert!(needs("gpu=1").join(needs("gpu=2")).is_err());
        assert_eq!(needs("gpu=1").join(needs("cpu=2")), Ok(needs("cpu=2,gpu=1")));
    }

    #[test]
    fn a_share_gives_the_part_that_covers_needs_or_nothing() {
        let whole = share(r#"{"gpu":{"indices":[1,4,5]},"mem":{"amount":1024}}"#);
        assert_eq!(whole.part_for(&needs("gpu=2")), Some(share(r#"{"gpu":{"indices":[1,4]}}"#)));
        assert_eq!(whole.part_for(&needs("gpu=3,mem=1K")), Some(whole.clone()));
        assert_eq!(whole.part_for(&Needs::default()), Some(Share::default()));
        for more in ["gpu=4", "mem=2K", "lic=1", "gpu=1,lic=1"] {
            assert_eq!(whole.part_for(&needs(more)), None, "{more}");
        }
    }

    #[test]
    fn a_run_is_told_the_indices_and_they_are_read_back() {
        let whole = share(r#"{"gpu":{"indices":[1,4]},"mem":{"amount":1024}}"#);
        let env = whole.variables();
        assert_eq!(env, [b"TASKQ_GPU=1,4".to_vec()]);
        assert_eq!(Share::from_variables(&needs("gpu=2,mem=1K"), &env), whole);
        let unknown = share(r#"{"gpu":{"amount":2}}"#);
        assert_eq!(Share::from_variables(&needs("gpu=2"), &[]), unknown);
        assert_eq!(Share::from_variables(&needs("gpu=2"), &[b"TASKQ_GPU=1".to_vec()]), unknown);
        let of = |name: &str| ResourceName::of_variable(name.as_bytes()).map(|name| name.to_string());
        assert_eq!(of("TASKQ_GPU").as_deref(), Some("gpu"));
        assert_eq!([of("TASKQ_RUN"), of("TASKQ_MEM"), of("GPU"), of("TASKQ_")], [None, None, None, None]);
        assert_eq!(whole.to_string(), "gpu=1,4 mem=1K");
    }
}
