//! Owns: the picture as an SVG file that needs nothing else: light and dark, with a note at each bar.
//! Never: writing files.
//!
//! Bars of one kind that would fall into the same point are drawn as one, so that the file stays small.

use std::collections::HashSet;
use std::fmt::Write;

use super::bar::{Bar, Window};
use super::facts::{Line, Picture};
use super::kind::Kind;
use super::text::busiest_text;
use crate::cli::output::table::cut;
use crate::cli::view::rounds::Step;
use crate::cli::view::times::Times;
use crate::domain::{Span, Timestamp};
use crate::shown::{self, escaped};

const WIDTH: f64 = 1200.0;

/// The axis begins and ends here.
const LEFT: f64 = 220.0;
const RIGHT: f64 = 1176.0;

/// The top of the first line.
const TOP: f64 = 84.0;

/// How much room a label of the axis needs.
const LABEL_ROOM: f64 = 84.0;

/// The characters of a label of a line.
const LABEL_CHARS: usize = 24;

/// Runs of a job at once stand below each other, so many at most.
const LANES_MAX: usize = 8;

/// The smallest width of a bar.
const BAR_MIN: f64 = 2.0;

const LOAD_HEIGHT: f64 = 44.0;

/// How many points the curve of runs at once has.
const LOAD_CELLS: usize = 478;

/// Colours by Okabe and Ito, which people with each kind of colour blindness can tell apart; what failed is
/// hatched too.
const STYLE: &str = "\
.bg{fill:#ffffff}.fg{fill:#1f2328}.dim{fill:#656d76}.grid{stroke:#e4e7eb}.band{fill:#f6f8fa}\
.now{stroke:#1f2328;stroke-width:1.5}.load{fill:#8b949e;fill-opacity:.55}\
.hatch{fill:#ffffff;fill-opacity:.55}\
.success{fill:#009e73}.failed{fill:#d55e00}.timed_out{fill:#cc79a7}.spawn_failed{fill:#8c2d04}\
.lost{fill:#e6a700}.cancelled{fill:#8b949e}.running{fill:#0072b2}.unattended{fill:#56b4e9}\
.waiting{fill:#c3c9d0}.missed{fill:#ffffff;stroke:#d55e00;stroke-width:1.8}\
.skipped{fill:#ffffff;stroke:#656d76;stroke-width:1.5}.coming{fill:none;stroke:#0072b2;stroke-width:1.4}\
text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif}.title{font-size:15px;font-weight:600}\
.id{font-variant-numeric:tabular-nums}\
@media(prefers-color-scheme:dark){.bg{fill:#0d1117}.fg{fill:#e6edf3}.dim{fill:#8d96a0}.grid{stroke:#262c36}\
.band{fill:#151b23}.now{stroke:#e6edf3}.hatch{fill:#0d1117}.success{fill:#1fb890}.failed{fill:#f0772b}\
.spawn_failed{fill:#b8501c}.running{fill:#3a9bdc}.waiting{fill:#3d444d}.coming{stroke:#56b4e9}\
.missed{fill:#0d1117;stroke:#f0772b}.skipped{fill:#0d1117;stroke:#8d96a0}}";

/// The kinds that are hatched.
const HATCHED: [Kind; 4] = [Kind::Failed, Kind::TimedOut, Kind::SpawnFailed, Kind::Lost];

/// The text of a file, with the places of times in it.
struct Drawing<'a> {
    picture: &'a Picture,
    times: &'a Times<'a>,
    text: String,
    y: f64,
    has_waits: bool,
}

/// Returns the picture as SVG.
pub fn svg(picture: &Picture, times: &Times<'_>) -> String {
    let mut drawing = Drawing { picture, times, text: String::new(), y: TOP, has_waits: false };
    for line in &picture.lines {
        drawing.line(line);
    }
    let bottom = drawing.y;
    drawing.load();
    drawing.legend();
    let height = drawing.y + 16.0;
    let body = std::mem::take(&mut drawing.text);
    drawing.head(height, bottom);
    let now = drawing.now_line(bottom);
    drawing.text + &body + &now + "</svg>\n"
}

impl Window {
    fn x(&self, at: Timestamp) -> f64 {
        let whole = self.until.since(self.since).as_micros().max(1) as f64;
        LEFT + (RIGHT - LEFT) * (at.since(self.since).as_micros() as f64 / whole).min(1.0)
    }
}

impl Drawing<'_> {
    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a String takes all");
    }

    /// Draws what stands before and behind the lines, which end at `bottom`.
    fn head(&mut self, height: f64, bottom: f64) {
        let Window { since, until, now } = self.picture.window;
        let (from, to) = (self.times.zone.show(since), self.times.zone.show(until));
        self.push(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" role=\"img\">\n<title>Runs from {from} to {to}</title>\n\
             <style>{STYLE}</style>\n<defs>"
        ));
        for kind in HATCHED {
            let class = kind.word();
            self.push(format_args!(
                "<pattern id=\"{class}\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" \
                 patternTransform=\"rotate(45)\"><rect width=\"5\" height=\"5\" class=\"{class}\"/>\
                 <rect width=\"1.6\" height=\"5\" class=\"hatch\"/></pattern>"
            ));
        }
        self.push(format_args!(
            "</defs>\n<rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
             <text class=\"fg title\" x=\"24\" y=\"32\">Timeline</text>\n\
             <text class=\"dim\" x=\"104\" y=\"32\">{from} – {to}</text>\n"
        ));
        if since < now && now < until {
            let x = self.picture.window.x(now);
            let (top, high) = (TOP - 8.0, bottom - TOP + 8.0);
            self.push(format_args!(
                "<rect class=\"band\" x=\"{x:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{high}\"/>\n",
                RIGHT - x
            ));
        }
        self.axis(bottom);
    }

    fn axis(&mut self, bottom: f64) {
        let window = self.picture.window;
        let labels = ((RIGHT - LEFT) / LABEL_ROOM) as u64;
        let room = window.until.since(window.since).as_micros() / labels;
        let step = Step::at_least(Span::from_micros(room));
        let rounds: Vec<Timestamp> = step.within(window.since, window.until, self.times.zone).collect();
        for at in rounds {
            let (x, label) = (window.x(at), step.label(at, self.times.zone));
            let (top, text) = (TOP - 8.0, TOP - 16.0);
            self.push(format_args!(
                "<path class=\"grid\" d=\"M{x:.1} {top}V{bottom}\"/>\
                 <text class=\"dim\" x=\"{x:.1}\" y=\"{text}\" text-anchor=\"middle\">{label}</text>\n"
            ));
        }
    }

    fn now_line(&self, bottom: f64) -> String {
        let Window { since, until, now } = self.picture.window;
        if now <= since || now >= until {
            return String::new();
        }
        let x = self.picture.window.x(now);
        let time = self.times.show(now);
        format!(
            "<path class=\"now\" d=\"M{x:.1} {}V{bottom}\"><title>now, {time}</title></path>\
             <text class=\"fg\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">now, {time}</text>\n",
            TOP - 36.0,
            TOP - 40.0
        )
    }

    /// Draws the bars, marks and coming fires of a line.
    fn line(&mut self, line: &Line) {
        let lanes = lanes(line);
        let count = lanes.iter().map(|(lane, _)| lane + 1).max().unwrap_or(1);
        let (thick, pitch) = if count == 1 { (14.0, 14.0) } else { (7.0, 9.0) };
        let height = (count as f64 * pitch + 10.0).max(24.0);
        let middle = self.y + height / 2.0;
        let top = middle - (count as f64 * pitch - (pitch - thick)) / 2.0;
        self.label(line, middle + 4.0);
        let name = line.label.clone();
        for group in groups(&lanes, &self.picture.window) {
            let y = top + group.lane as f64 * pitch;
            self.bar(&group, &name, y, thick);
        }
        self.marks(line, middle);
        let mut drawn = HashSet::new();
        for at in &line.coming {
            let x = self.picture.window.x(*at);
            if drawn.insert((x / 3.0) as i64) {
                let title = title(&name, &format!("coming\n{}", self.times.zone.show(*at)));
                let path = diamond(x, middle);
                self.push(format_args!("<path class=\"coming\" d=\"{path}\">{title}</path>\n"));
            }
        }
        self.y += height;
        let y = self.y;
        self.push(format_args!("<path class=\"grid\" d=\"M24 {y}H{RIGHT}\"/>\n"));
    }

    fn label(&mut self, line: &Line, y: f64) {
        let id = line.id.map_or_else(String::new, |id| id.to_string());
        let label = xml(&cut(&escaped(&line.label), LABEL_CHARS));
        let whole = xml(&escaped(&line.label));
        self.push(format_args!(
            "<text class=\"dim id\" x=\"56\" y=\"{y:.1}\" text-anchor=\"end\">{id}</text>\
             <text class=\"fg\" x=\"66\" y=\"{y:.1}\">{label}<title>{whole}</title></text>\n"
        ));
    }

    fn bar(&mut self, group: &Group<'_>, name: &str, y: f64, thick: f64) {
        let kind = group.first.kind;
        self.has_waits |= kind == Kind::Waiting;
        let (y, thick) = if kind == Kind::Waiting { (y + thick / 2.0 - 1.5, 3.0) } else { (y, thick) };
        let fill = fill(kind);
        let title = title(name, &group.note(self.times));
        self.push(format_args!(
            "<rect {fill} x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{thick}\" rx=\"1.5\">\
             {title}</rect>\n",
            group.x,
            (group.end - group.x).max(BAR_MIN)
        ));
    }

    /// Draws the fires that had no process.
    fn marks(&mut self, line: &Line, y: f64) {
        let mut drawn = HashSet::new();
        for bar in line.bars.iter().filter(|bar| bar.from == bar.to) {
            let x = self.picture.window.x(bar.from);
            if !drawn.insert((bar.kind, (x / 3.0) as i64)) {
                continue;
            }
            let fires = if bar.count > 1 { format!(" ×{}", bar.count) } else { String::new() };
            let run = bar.run.map_or(String::new(), |run| format!("{run} "));
            let note = format!("{run}{}{fires}\n{}", bar.kind.word(), self.times.zone.show(bar.from));
            let title = title(&line.label, &note);
            let shape = mark(bar.kind, x, y);
            self.push(format_args!("<{shape}>{title}</{}>\n", element(&shape)));
        }
    }

    /// Draws how many runs there are at once.
    fn load(&mut self) {
        let (window, load) = (self.picture.window, &self.picture.load);
        if load.most_at_once == 0 {
            return;
        }
        let cell_of = |at: Timestamp| ((window.x(at) - LEFT) / (RIGHT - LEFT) * LOAD_CELLS as f64) as usize;
        let levels = load.changes.by_cell(LOAD_CELLS, cell_of);
        let bottom = self.y + 14.0 + LOAD_HEIGHT;
        let step = (RIGHT - LEFT) / LOAD_CELLS as f64;
        let mut path = format!("M{LEFT} {bottom}");
        let mut last = 0;
        for (index, level) in levels
            .into_iter()
            .chain([0])
            .enumerate()
            .filter(|(_, level)| std::mem::replace(&mut last, *level) != *level)
        {
            let y = bottom - LOAD_HEIGHT * f64::from(level) / f64::from(load.most_at_once);
            write!(path, "H{:.1}V{y:.1}", LEFT + index as f64 * step).expect("a String takes all");
        }
        let label = self.y + 14.0 + LOAD_HEIGHT / 2.0 + 4.0;
        let most = load.most_at_once;
        self.push(format_args!(
            "<text class=\"fg\" x=\"66\" y=\"{label}\">at once, at most {most}</text>\
             <path class=\"load\" d=\"{path}V{bottom}Z\"/>\
             <path class=\"grid\" d=\"M{LEFT} {bottom}H{RIGHT}\"/>\n"
        ));
        self.y = bottom;
    }

    fn legend(&mut self) {
        self.y += 30.0;
        let (mut x, y) = (24.0, self.y);
        for kind in Kind::ALL {
            // Most waits are too short to be seen.
            let is_seen = |_: &&u64| kind != Kind::Waiting || self.has_waits;
            let Some(count) = self.picture.counts.get(&kind).filter(is_seen) else { continue };
            let class = kind.word();
            let count = if *count == 0 || kind == Kind::Coming { String::new() } else { format!("{count} ") };
            let text = format!("{count}{}", class.replace('_', " "));
            let swatch = match kind {
                Kind::Missed | Kind::Skipped => format!("<{}/>", mark(kind, x + 7.0, y - 4.0)),
                Kind::Coming => format!("<path class=\"{class}\" d=\"{}\"/>", diamond(x + 7.0, y - 4.0)),
                _ => {
                    let (top, high) = if kind == Kind::Waiting { (y - 5.5, 3) } else { (y - 10.0, 12) };
                    let fill = fill(kind);
                    format!("<rect {fill} x=\"{x}\" y=\"{top}\" width=\"14\" height=\"{high}\" rx=\"1.5\"/>")
                }
            };
            self.push(format_args!(
                "{swatch}<text class=\"fg\" x=\"{}\" y=\"{y}\">{text}</text>\n",
                x + 20.0
            ));
            x += 44.0 + 6.6 * text.len() as f64;
        }
        let said =
            if self.picture.lines.is_empty() { Some("no runs and no coming fires".to_owned()) } else { None };
        if let Some(sentence) = said.or_else(|| busiest_text(self.picture, self.times)) {
            self.y += 26.0;
            let y = self.y;
            self.push(format_args!("<text class=\"dim\" x=\"24\" y=\"{y}\">{sentence}</text>\n"));
        }
    }
}

/// Returns the attribute with the colour of bars.
fn fill(kind: Kind) -> String {
    match HATCHED.contains(&kind) {
        true => format!("fill=\"url(#{})\"", kind.word()),
        false => format!("class=\"{}\"", kind.word()),
    }
}

/// Returns the path of the sign of a coming fire.
fn diamond(x: f64, y: f64) -> String {
    format!("M{x:.1} {:.1}l4 5-4 5-4-5z", y - 5.0)
}

/// Returns the element, with its attributes, of a fire that had no process.
fn mark(kind: Kind, x: f64, y: f64) -> String {
    let class = kind.word();
    match kind {
        Kind::Skipped => format!(
            "rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\"",
            x - 3.5,
            y - 3.5
        ),
        _ => format!("circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\""),
    }
}

/// Returns the name of an element with attributes.
fn element(shape: &str) -> &str {
    shape.split(' ').next().unwrap_or_default()
}

/// Bars of one kind that are drawn as one.
struct Group<'a> {
    lane: usize,
    first: &'a Bar,
    last: &'a Bar,
    bars: u64,
    x: f64,
    end: f64,
}

impl Group<'_> {
    fn note(&self, times: &Times<'_>) -> String {
        let word = self.first.kind.word();
        let show = |at| times.zone.show(at);
        if self.bars > 1 {
            let (from, to) = (show(self.first.from), show(self.last.from));
            return format!("{} runs {word}\n{from} – {to}", self.bars);
        }
        let Bar { from, to, kind, run, attempt, count } = *self.first;
        let run = run.map_or_else(|| format!("{count} indices"), |run| run.to_string());
        let attempt = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
        let span = shown::span(to.since(from));
        let (from, to) = (show(from), show(to));
        match kind {
            Kind::Running | Kind::Unattended => format!("{run}{attempt} {word}\nsince {from}, for {span}"),
            Kind::Waiting => format!("{run}{attempt} waiting\n{from} – {to}, {span}"),
            _ => format!("{run}{attempt} {word}\n{from} – {to}, took {span}"),
        }
    }
}

/// Returns the bars of a line that have a length, in the order of their starts, each with its lane: the first
/// one that is free, or that becomes free first. Waiting comes before its run, in the same lane if it can.
fn lanes(line: &Line) -> Vec<(usize, &Bar)> {
    let mut bars: Vec<&Bar> = line.bars.iter().filter(|bar| bar.from < bar.to).collect();
    bars.sort_by_key(|bar| (bar.from, bar.to));
    let mut ends: Vec<Timestamp> = Vec::new();
    let mut placed = Vec::with_capacity(bars.len());
    for bar in bars {
        let free = ends.iter().position(|end| *end <= bar.from);
        let lane = match free {
            Some(lane) => lane,
            None if bar.kind == Kind::Waiting => {
                placed.push((0, bar));
                continue;
            }
            None if ends.len() < LANES_MAX => {
                ends.push(bar.to);
                ends.len() - 1
            }
            None => (0..ends.len()).min_by_key(|lane| ends[*lane]).unwrap_or(0),
        };
        if bar.kind != Kind::Waiting {
            ends[lane] = bar.to.max(ends[lane]);
        }
        placed.push((lane, bar));
    }
    placed
}

/// Returns the bars, of which neighbours that are too narrow to be told apart are one.
fn groups<'a>(lanes: &[(usize, &'a Bar)], window: &Window) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut open: [Option<usize>; LANES_MAX] = [None; LANES_MAX];
    for (lane, bar) in lanes {
        let (from, to) = bar.clipped(window);
        let (x, end) = (window.x(from), window.x(to));
        let is_narrow = end - x < BAR_MIN;
        if is_narrow && bar.kind == Kind::Waiting {
            continue;
        }
        if let Some(group) = open[*lane].map(|index| &mut groups[index])
            && is_narrow
            && group.first.kind == bar.kind
            && x < group.end + 0.5
        {
            (group.last, group.end) = (bar, end.max(group.end));
            group.bars += 1;
            continue;
        }
        open[*lane] = is_narrow.then_some(groups.len());
        let end = end.max(x + BAR_MIN);
        groups.push(Group { lane: *lane, first: bar, last: bar, bars: 1, x, end });
    }
    // Waiting is drawn behind what runs.
    groups.sort_by_key(|group| group.first.kind != Kind::Waiting);
    groups
}

/// Returns the note that a browser shows at a shape.
fn title(name: &str, note: &str) -> String {
    format!("<title>{} {}</title>", xml(&escaped(name)), xml(note))
}

/// Returns a text as content of an element. What XML 1.0 cannot have becomes `?`.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => out.push('?'),
            c => out.push(c),
        }
    }
    out
}
