//! Owns: the model of one event trigger: it counts events one by one, to check the engine, which does not.
//! Never: which events it hears (see `news`), and what becomes of its fires (see `hearing`).

use taskq::domain::{Counter, EventTrigger, Span, Timestamp, Window};

/// A row of a bundle: an event, or several that came at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub at: Timestamp,
    /// The word of its kind.
    pub kind: String,
    pub name: String,
    pub data: Option<String>,
    pub count: u64,
}

/// A part, and how many runs led to it.
pub type DeepPart = (Part, u32);

/// Returns how many events these are.
pub fn events_in(parts: &[DeepPart]) -> u64 {
    parts.iter().map(|(part, _)| part.count).sum()
}

/// What an event, or that none came, has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// As in the record of events.
    pub event: String,
    pub count: u64,
    /// How many events count now towards the next fire.
    pub counted: u64,
    pub fire: Option<Fire>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fire {
    pub at: Timestamp,
    pub parts: Vec<DeepPart>,
}

/// An event trigger as it should be.
#[derive(Clone, Debug)]
pub struct Listener {
    pub job: i64,
    pub event: EventTrigger,
    pub window: Window,
    /// It hears events that were recorded after this one.
    pub since: u64,
    /// It will fire again.
    pub listens: bool,
    /// With `all_of`: it has fired since the last run.
    pub has_fired: bool,
    /// The events that count towards its next fire.
    pub counting: Vec<DeepPart>,
    pub timeout_at: Option<Timestamp>,
    /// How many events it has heard.
    pub heard: u64,
    /// Those of them that count for nothing.
    pub dropped: u64,
}

impl Listener {
    pub fn new(job: i64, event: EventTrigger, window: Window, now: Timestamp) -> Self {
        let begin = window.start.map_or(now, |start| start.max(now));
        Self {
            job,
            timeout_at: event.counter.absent.map(|absent| begin + absent),
            event,
            window,
            since: u64::MAX,
            listens: true,
            has_fired: false,
            counting: Vec::new(),
            heard: 0,
            dropped: 0,
        }
    }

    fn counter(&self) -> Counter {
        self.event.counter
    }

    pub fn counted(&self) -> u64 {
        events_in(&self.counting)
    }

    fn drop_counted(&mut self) {
        self.dropped += self.counted();
        self.counting.clear();
    }

    /// Forgets the events that are not inside the `within` before `at`.
    fn expire(&mut self, at: Timestamp) {
        let Some(within) = self.counter().within else { return };
        let before = self.counted();
        self.counting.retain(|(part, _)| part.at > at - within);
        self.dropped += before - self.counted();
    }

    /// Hears an event in its window.
    pub fn hear(&mut self, (part, depth): &DeepPart, is_opposite: bool) -> Vec<Effect> {
        let at = part.at;
        let mut effects = self.time_out_until(at);
        self.expire(at);
        if is_opposite {
            if self.counter().consecutive && !self.counting.is_empty() {
                self.drop_counted();
                self.timeout_at = None;
            }
            return effects;
        }
        self.heard += part.count;
        if let Some(absent) = self.counter().absent {
            // A late report of an earlier event does not make the silence longer.
            self.timeout_at = self.timeout_at.max(Some(at + absent));
            self.dropped += part.count;
            return effects;
        }
        let (mut counted, mut taken) = (self.counted(), 0);
        for nth in 1..=part.count {
            counted += 1;
            if counted == self.counter().count {
                (counted, taken) = (0, nth);
            }
        }
        let of = |count| (Part { count, ..part.clone() }, *depth);
        let fire = (taken > 0).then(|| {
            let mut parts = std::mem::take(&mut self.counting);
            parts.push(of(taken));
            Fire { at, parts }
        });
        if part.count > taken {
            self.counting.push(of(part.count - taken));
        }
        let first = self.counting.first().map(|(first, _)| first.at);
        self.timeout_at = first.zip(self.counter().or_after).map(|(first, span)| first + span);
        effects.push(Effect { event: part.name.clone(), count: part.count, counted, fire });
        effects
    }

    /// Fires at its times up to `until` because no event came before them.
    pub fn time_out_until(&mut self, until: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(at) = self.timeout_at.filter(|at| *at <= until) {
            effects.extend(self.time_out(at));
        }
        effects
    }

    /// Returns what the record calls its fire up to `until`, if no event comes before.
    pub fn silence(&self, until: Timestamp) -> Option<String> {
        self.clone().time_out_until(until).pop().map(|effect| effect.event)
    }

    fn time_out(&mut self, at: Timestamp) -> Option<Effect> {
        self.timeout_at = None;
        if !self.window.contains(at) {
            return None;
        }
        let Counter { absent, or_after, .. } = self.counter();
        let event = match (absent, or_after) {
            (Some(absent), _) => format!("absent={absent}"),
            (None, or_after) => {
                let or_after = or_after.unwrap_or(Span::ZERO);
                let before = self.counted();
                self.expire(at);
                let first = self.counting.first()?.0.at;
                if self.counted() < before && first + or_after > at {
                    self.timeout_at = Some(first + or_after);
                    return None;
                }
                format!("or-after={or_after}")
            }
        };
        let parts = std::mem::take(&mut self.counting);
        Some(Effect { event, count: 0, counted: 0, fire: Some(Fire { at, parts }) })
    }

    /// Fires no more.
    pub fn end(&mut self) {
        self.drop_counted();
        (self.listens, self.has_fired, self.timeout_at) = (false, false, None);
    }

    /// Begins anew.
    pub fn reset(&mut self, now: Timestamp) {
        self.drop_counted();
        (self.has_fired, self.timeout_at) = (false, None);
        self.await_silence(now);
    }

    /// Waits for silence from now on, because it has heard nothing before.
    pub fn await_silence(&mut self, now: Timestamp) {
        if let Some(absent) = self.counter().absent.filter(|_| self.listens) {
            self.timeout_at = Some(self.window.start.map_or(now, |start| start.max(now)) + absent);
        }
    }

    /// The clock was set back far: it does not wait for longer than it would from now on.
    pub fn step_back(&mut self, now: Timestamp) {
        let Counter { absent, or_after, .. } = self.counter();
        if let (Some(at), Some(span)) = (self.timeout_at, absent.or(or_after)) {
            let begin = self.window.start.map_or(now, |start| start.max(now));
            self.timeout_at = Some(at.min(begin + span));
        }
    }
}
