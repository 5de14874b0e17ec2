//! What each crate costs without a network: nanoseconds per message, and ratios to ours.
//!
//! `--rounds N` sets how often the rows of a table are measured in turn, `--only TEXT` picks the tables whose
//! title contains it.

mod by_hand;
mod candidates;
mod handshake;
mod receive;
mod send;
mod transport;

use peers::payload::Kind;
use peers::stats::{geometric_mean, median, thread_cpu_time};

use self::candidates::{Candidates, What, Work};

fn main() {
    let rounds = peers::option("--rounds").unwrap_or(15);
    let only: Option<String> = peers::option("--only");
    let mut ratios = Vec::new();
    let mut table = |title: String, candidates: &dyn Fn() -> Candidates| {
        if only.as_ref().is_none_or(|only| title.contains(only.as_str())) {
            ratios.push((title.clone(), compare(&title, candidates(), rounds)));
        }
    };
    for (name, size) in
        [("0 B", 0), ("125 B", 125), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("1 MiB", 1 << 20)]
    {
        table(format!("receive binary, {name}"), &|| receive::candidates(Kind::Binary, size));
    }
    table("receive ASCII, 16 KiB".into(), &|| receive::candidates(Kind::Text, 16 << 10));
    table("receive mixed text, 16 KiB".into(), &|| receive::candidates(Kind::Mixed, 16 << 10));
    for client in [false, true] {
        for (name, size) in [("125 B", 125), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10), ("1 MiB", 1 << 20)] {
            let role = if client { "client" } else { "server" };
            table(format!("send as {role}, {name}"), &|| send::candidates(client, size));
        }
    }
    table("opening handshake, server".into(), &handshake::candidates);
    summarize(&ratios);
}

/// In the CPU time of this thread: other programs on the machine do not count.
fn sample(work: &mut Work, count: u64) -> f64 {
    let start = thread_cpu_time();
    work(count);
    (thread_cpu_time() - start).as_nanos() as f64 / count as f64
}

/// Prints a table, and returns how the best peer does beside ours.
fn compare(title: &str, mut all: Candidates, rounds: usize) -> Ratios {
    // As many messages as take some milliseconds.
    let counts: Vec<u64> = (all.0.iter_mut())
        .map(|candidate| {
            sample(&mut candidate.work, 4);
            let nanos = sample(&mut candidate.work, 16).max(1.0);
            ((3e6 / nanos) as u64).clamp(4, 1_000_000)
        })
        .collect();
    let mut samples: Vec<Vec<f64>> = all.0.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((candidate, count), samples) in all.0.iter_mut().zip(&counts).zip(&mut samples) {
            samples.push(sample(&mut candidate.work, *count));
        }
    }
    println!("\n### {title}\n\n| | ns | ratio |\n| --- | --: | --: |");
    let medians: Vec<f64> = samples.iter().map(|samples| median(samples.clone())).collect();
    for ((candidate, nanos), own) in all.0.iter().zip(&medians).zip(&samples) {
        let ratio = median(own.iter().zip(&samples[0]).map(|(own, ours)| own / ours).collect());
        println!("| {} | {nanos:.0} | {ratio:.2} |", candidate.name);
    }
    let best = |of: &[What]| {
        (all.0.iter().zip(&medians))
            .filter(|(candidate, _)| of.contains(&candidate.what))
            .map(|(_, nanos)| *nanos)
            .fold(f64::INFINITY, f64::min)
    };
    let peer = best(&[What::Peer]);
    Ratios { best: peer / best(&[What::Core, What::Adapter]), adapter: peer / best(&[What::Adapter]) }
}

/// The best peer's time, divided by ours.
struct Ratios {
    /// By that of the best of ours: the core by hand, or an adapter.
    best: f64,
    /// By that of our best adapter.
    adapter: f64,
}

/// Prints the ratios of all tables.
fn summarize(ratios: &[(String, Ratios)]) {
    println!("\n### the best peer's time, divided by ours\n");
    println!("| | our best: core by hand, or adapter | our best adapter |\n| --- | --: | --: |");
    for (title, Ratios { best, adapter }) in ratios {
        println!("| {title} | {best:.2} | {adapter:.2} |");
    }
    let mean = |of: fn(&Ratios) -> f64| {
        geometric_mean(&ratios.iter().map(|(_, ratios)| of(ratios)).collect::<Vec<_>>())
    };
    println!("| geometric mean | {:.2} | {:.2} |", mean(|ratios| ratios.best), mean(|ratios| ratios.adapter));
}
