//! The figures as Markdown. Rates are requests per second, times are milliseconds, every figure is the median of the rounds.

use crate::{load::Sample, operation::Operation};

/// One row of the report: an operation, a number of clients, and the samples of each system, round by round. A system that does not take part
/// in the operation has none.
pub struct Row {
    pub operation: Operation,
    pub clients: usize,
    pub samples: Vec<Vec<Sample>>,
}

/// What the report is about.
pub struct Report {
    pub systems: Vec<String>,
    pub rows: Vec<Row>,
}

impl Report {
    /// The tables.
    pub fn print(&self) {
        println!("\n## Requests per second (p50 / p99 in ms)\n");
        let ratios: Vec<usize> = if self.systems[0] == "Ironrule" { (1..self.systems.len()).collect() } else { Vec::new() };
        let names = self.systems.iter().cloned().chain(ratios.iter().map(|other| format!("Ironrule : {}", self.systems[*other])));
        header(&names.collect::<Vec<_>>());
        for row in &self.rows {
            let figures = row.samples.iter().map(|samples| rate(samples));
            let compared = ratios.iter().map(|other| ratio(&row.samples[0], &row.samples[*other]));
            line(row, figures.chain(compared));
        }
        println!("\n## Processor time per request in us, of the system under test (of the load generator, on the same two cores)\n");
        header(&self.systems);
        for row in &self.rows {
            line(row, row.samples.iter().map(|samples| processor(samples)));
        }
        self.print_parts();
        println!("\n{}", self.spread());
        for row in &self.rows {
            for (system, samples) in self.systems.iter().zip(&row.samples) {
                let failed: u64 = samples.iter().map(|sample| sample.failed).sum();
                if let Some(failure) = samples.iter().find_map(|sample| sample.failure.as_ref()) {
                    println!("**{failed} requests failed**: {system}, {}, {} clients: `{failure}`", row.operation.label(), row.clients);
                }
            }
        }
    }

    /// Where the time of one request goes when nobody else is there: what raw SurrealDB needs for the same rows, what Ironrule adds to it, and
    /// the rest of the time on the clock, which is waiting for the disk and for a processor.
    fn print_parts(&self) {
        let place = |name: &str| self.systems.iter().position(|system| system == name);
        let (Some(ironrule), Some(raw)) = (place("Ironrule"), place("raw SurrealDB")) else { return };
        println!("\n## Where the time of one Ironrule request goes, in us (1 client)\n");
        println!(
            "| operation | p50 | processor: the database alone | processor: Ironrule on top | neither (disk, waiting, load generator) |"
        );
        println!("|---|--:|--:|--:|--:|");
        for row in self.rows.iter().filter(|row| row.clients == 1) {
            let of = |samples: &[Sample], figure: fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
            let p50 = of(&row.samples[ironrule], |sample| sample.p50 * 1000.0);
            let whole = of(&row.samples[ironrule], |sample| sample.server_cpu);
            let database = of(&row.samples[raw], |sample| sample.server_cpu).min(whole);
            let (label, above, rest) = (row.operation.label(), whole - database, (p50 - whole).max(0.0));
            println!("| {label} | {p50:.0} | {database:.0} | {above:.0} | {rest:.0} |");
        }
    }

    /// How far the rounds lay apart, so that nobody takes a ratio of 1.1 for a finding.
    fn spread(&self) -> String {
        let all = self.rows.iter().flat_map(|row| &row.samples).filter(|samples| samples.len() > 1);
        let spreads: Vec<f64> = all
            .map(|samples| {
                let rates = || samples.iter().map(|sample| sample.rate);
                rates().fold(0.0, f64::max) / rates().fold(f64::MAX, f64::min).max(0.1)
            })
            .collect();
        if spreads.is_empty() {
            return "One round only: nothing is known of the noise.".to_owned();
        }
        let worst = spreads.iter().copied().fold(0.0, f64::max);
        format!(
            "Noise: between the slowest and the fastest round of the same measurement lies a factor of {:.2} (median), {worst:.2} (worst).",
            median(spreads)
        )
    }
}

fn header(names: &[String]) {
    println!("| operation | clients | {} |", names.join(" | "));
    println!("|---|--:|{}", "--:|".repeat(names.len()));
}

fn line(row: &Row, cells: impl Iterator<Item = String>) {
    println!("| {} | {} | {} |", row.operation.label(), row.clients, cells.collect::<Vec<_>>().join(" | "));
}

fn rate(samples: &[Sample]) -> String {
    if samples.is_empty() {
        return "-".to_owned();
    }
    let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
    format!("{:.0} ({:.2} / {:.2})", of(|sample| sample.rate), of(|sample| sample.p50), of(|sample| sample.p99))
}

fn ratio(one: &[Sample], other: &[Sample]) -> String {
    if one.is_empty() || other.is_empty() {
        return "-".to_owned();
    }
    let rate = |samples: &[Sample]| median(samples.iter().map(|sample| sample.rate).collect());
    format!("{:.2}", rate(one) / rate(other))
}

fn processor(samples: &[Sample]) -> String {
    if samples.is_empty() {
        return "-".to_owned();
    }
    let of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure).collect());
    match samples.iter().all(|sample| sample.own_process) {
        true => format!("{:.0}", of(|sample| sample.server_cpu)),
        false => format!("{:.0} ({:.0})", of(|sample| sample.server_cpu), of(|sample| sample.client_cpu)),
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 { figures[middle] } else { (figures[middle - 1] + figures[middle]) / 2.0 }
}
