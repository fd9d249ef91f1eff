//! The costs of the pure schedule: next fires, counts, and reading texts.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use taskq::domain::{Span, Timestamp};
use taskq::schedule::{Zone, parse_cron};

/// 2026-03-02 02:35:00 UTC.
const NOW: i64 = 1_772_418_900;

fn next_after(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("next_after");
    for (name, expression) in [
        ("frequent", "*/5 * * * *"),
        ("daily", "30 2 * * 1-5"),
        ("yearly", "0 0 1 1 *"),
        ("leap_day", "0 0 29 2 *"),
        // 29 February on a Sunday: 2032.
        ("rare", "0 0 29 2 */7"),
        ("seconds", "*/10 * * * * *"),
        // Always inside the gap of Berlin: it never fires there, which takes a search of decades.
        ("always_in_the_gap", "*/10 2 25-31 3 */7"),
    ] {
        let schedule = parse_cron(expression).expect("a valid expression");
        for zone in [Zone::utc(), Zone::named("Europe/Berlin").expect("in every tzdata")] {
            let after = Timestamp::from_seconds(NOW);
            group.bench_function(format!("{name}/{}", zone.name()), |bencher| {
                bencher.iter(|| black_box(&schedule).next_after(black_box(after), &zone));
            });
        }
    }
    group.finish();
}

fn ranges(criterion: &mut Criterion) {
    let zone = Zone::named("Europe/Berlin").expect("in every tzdata");
    let after = Timestamp::from_seconds(NOW);
    let until = after + Span::from_seconds(366 * 86_400);
    let each_second = parse_cron("* * * * * *").expect("a valid expression");
    criterion.bench_function("count/a_year_of_seconds", |bencher| {
        bencher.iter(|| black_box(&each_second).count(black_box(after), until, &zone));
    });
    let daily = parse_cron("30 2 * * *").expect("a valid expression");
    criterion.bench_function("latest/100_days", |bencher| {
        bencher.iter(|| black_box(&daily).latest(black_box(after), until, 100, &zone));
    });
}

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, expression) in [
        ("five", "*/5 2-4,7 1,15 jan-mar mon"),
        ("six", "0 */5 2-4,7 1,15 * MON-FRI"),
        ("never", "0 0 31 2 *"),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| parse_cron(black_box(expression))));
    }
    group.finish();
}

criterion_group!(benches, next_after, ranges, reading);
criterion_main!(benches);
