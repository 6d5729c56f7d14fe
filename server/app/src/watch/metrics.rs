//! What is known of rules as Prometheus reads it: the text format 0.0.4.

use std::fmt::Write;

use super::{histogram::Histogram, kept::Source, rule::Counters};

/// Edges of the buckets in microseconds: powers of two, which the histograms have exactly.
const EDGES_US: [u64; 10] = [1 << 4, 1 << 6, 1 << 8, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22];

/// The numbers of one rule, taken out of the watch.
pub(super) struct Series {
    pub(super) plugin: String,
    pub(super) source: std::sync::Arc<Source>,
    pub(super) counters: Counters,
}

impl Series {
    /// `plugin="…",version="…",digest="…",rule="…",mode="…"`
    fn labels(&self) -> String {
        let Source { version, digest, rule, mode } = &*self.source;
        let labels = [("plugin", self.plugin.as_str()), ("version", version), ("digest", digest), ("rule", rule), ("mode", mode)];
        labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).join(",")
    }
}

/// Renders everything.
pub(super) fn render(series: &[Series], epoch: u64) -> String {
    let mut page = Page(String::new());
    page.family("ironrule_build_info", "gauge", "Which server this is.");
    page.sample("ironrule_build_info", &format!("version=\"{}\"", escaped(env!("CARGO_PKG_VERSION"))), "1");
    page.family("ironrule_policy_epoch", "gauge", "The count of changes of collections, policies, roles and plugins that is in force.");
    page.sample("ironrule_policy_epoch", "", &epoch.to_string());
    page.calls(series);
    page.numbers(series);
    page.durations(series);
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &str, value: &str) {
        match labels {
            "" => self.line(format_args!("{name} {value}")),
            labels => self.line(format_args!("{name}{{{labels}}} {value}")),
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // INVARIANT: a `String` takes everything.
        writeln!(self.0, "{line}").expect("writing to memory");
    }

    fn calls(&mut self, series: &[Series]) {
        let name = "ironrule_plugin_rule_calls_total";
        self.family(name, "counter", "Calls of rules, by how they ended.");
        for one in series {
            let labels = one.labels();
            for ((outcome, code), count) in &one.counters.outcomes {
                self.sample(name, &format!("{labels},outcome=\"{outcome}\",code=\"{}\"", escaped(code)), &count.to_string());
            }
        }
    }

    fn numbers(&mut self, series: &[Series]) {
        type Number = fn(&Counters) -> u64;
        let families: [(&str, &str, &str, Number); 5] = [
            ("ironrule_plugin_rule_limits_hit_total", "counter", "Calls that a limit ended.", |counters| counters.limits_hit),
            ("ironrule_plugin_rule_host_calls_total", "counter", "Calls that rules made to the host.", |counters| counters.host_calls),
            ("ironrule_plugin_rule_memory_max_bytes", "gauge", "The largest memory of a call so far.", |counters| {
                counters.memory_max_bytes as u64
            }),
            ("ironrule_plugin_rule_log_lines_total", "counter", "Lines that rules logged.", |counters| counters.log_lines),
            ("ironrule_plugin_rule_log_lines_dropped_total", "counter", "Lines beyond the limit of a call.", |counters| {
                counters.log_lines_dropped
            }),
        ];
        for (name, kind, help, number) in families {
            self.family(name, kind, help);
            for one in series {
                self.sample(name, &one.labels(), &number(&one.counters).to_string());
            }
        }
    }

    fn durations(&mut self, series: &[Series]) {
        let name = "ironrule_plugin_rule_duration_seconds";
        self.family(name, "histogram", "How long calls took, and what part of it went where.");
        for one in series {
            let counters = &one.counters;
            let parts =
                [("total", &counters.total), ("guest", &counters.guest), ("host", &counters.host), ("instantiate", &counters.instantiate)];
            for (part, histogram) in parts.into_iter().filter(|(_, histogram)| histogram.count() > 0) {
                self.histogram(name, &format!("{},part=\"{part}\"", one.labels()), histogram);
            }
        }
    }

    fn histogram(&mut self, name: &str, labels: &str, histogram: &Histogram) {
        for edge in EDGES_US {
            let within = histogram.within_us(edge).to_string();
            self.sample(&format!("{name}_bucket"), &format!("{labels},le=\"{}\"", edge as f64 / 1e6), &within);
        }
        let count = histogram.count().to_string();
        self.sample(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), &count);
        self.sample(&format!("{name}_sum"), labels, &histogram.sum().as_secs_f64().to_string());
        self.sample(&format!("{name}_count"), labels, &count);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    fn series(version: &str) -> Series {
        let source = Source { version: version.to_owned(), digest: "0123".to_owned(), rule: "r".to_owned(), mode: "active" };
        let mut counters = Counters::default();
        counters.outcomes.insert(("failed", "plugin.trap"), 2);
        [10, 1_000, 5_000_000].into_iter().for_each(|micros| counters.total.note(Duration::from_micros(micros)));
        Series { plugin: "p".to_owned(), source: Arc::new(source), counters }
    }

    #[test]
    fn labels_cannot_be_broken_out_of() {
        let page = render(&[series("1\"} 7\n# evil \\")], 3);
        let version = r#"version="1\"} 7\n# evil \\""#;
        assert!(page.contains(&format!("{{plugin=\"p\",{version},digest=\"0123\"")), "{page}");
        assert!(!page.lines().any(|line| line.starts_with("# evil")), "{page}");
    }

    #[test]
    fn buckets_add_up() {
        let page = render(&[series("1")], 3);
        let labels = "plugin=\"p\",version=\"1\",digest=\"0123\",rule=\"r\",mode=\"active\"";
        for line in [
            "ironrule_policy_epoch 3".to_owned(),
            format!("ironrule_plugin_rule_calls_total{{{labels},outcome=\"failed\",code=\"plugin.trap\"}} 2"),
            format!("ironrule_plugin_rule_duration_seconds_bucket{{{labels},part=\"total\",le=\"0.000016\"}} 1"),
            format!("ironrule_plugin_rule_duration_seconds_bucket{{{labels},part=\"total\",le=\"0.001024\"}} 2"),
            format!("ironrule_plugin_rule_duration_seconds_bucket{{{labels},part=\"total\",le=\"4.194304\"}} 2"),
            format!("ironrule_plugin_rule_duration_seconds_bucket{{{labels},part=\"total\",le=\"+Inf\"}} 3"),
            format!("ironrule_plugin_rule_duration_seconds_sum{{{labels},part=\"total\"}} 5.00101"),
            format!("ironrule_plugin_rule_duration_seconds_count{{{labels},part=\"total\"}} 3"),
        ] {
            assert!(page.lines().any(|found| found == line), "no `{line}`:\n{page}");
        }
        assert!(!page.contains("part=\"instantiate\""), "{page}");
    }

    #[test]
    fn every_family_is_declared_once() {
        let page = render(&[series("1"), series("2")], 3);
        let mut types: Vec<&str> = page.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        let all = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), all);
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().expect("a name");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(types.iter().any(|declared| declared.contains(&format!(" {family} "))), "`{line}` is not declared");
        }
    }
}
