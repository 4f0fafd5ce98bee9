//! Sums up the output of `callgrind` by component and by function.

use super::FORWARDED;
use crate::linux::table::{Row, Table};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::path::Path;

/// The tables from a `callgrind.out` file of [`super::workload`].
pub(crate) fn tables(path: &Path) -> Result<Vec<Table>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let costs = parse(&text);
    let mut components = Table::new(
        "instructions",
        "per forwarded packet: 1 to 100, GCM, 1200 bytes, bursts of 5 at 30 per second",
    );
    let mut functions =
        Table::new("functions", "instructions per forwarded packet, calls not included; the cipher left out");
    let total: u64 = costs.iter().map(|cost| cost.instructions).sum();
    let own = total - of(&costs, |cost| cost.component() == CIPHER);
    for (component, instructions) in sums(&costs, Cost::component) {
        components.push(row("component", component, instructions, total));
    }
    components.push(row("component", "all", total, total));
    components.push(row("component", "all but the cipher", own, total));
    let others: Vec<Cost<'_>> = costs.into_iter().filter(|cost| cost.component() != CIPHER).collect();
    for (function, instructions) in sums(&others, |cost| cost.function).into_iter().take(FUNCTIONS) {
        functions.push(row("function", &shortened(function), instructions, own));
    }
    Ok(vec![components, functions])
}

/// Instructions of one source line in one function, without calls.
#[derive(Debug, PartialEq, Eq)]
struct Cost<'a> {
    /// The file of the source line; differs from the function's file if the line was inlined.
    file: &'a str,
    function_file: &'a str,
    function: &'a str,
    instructions: u64,
}

impl Cost<'_> {
    /// The component of the line's file. For files without a component (such as the standard library's), the
    /// component of the function into which the line was inlined.
    fn component(&self) -> &'static str {
        let by_file = |file: &str| COMPONENTS.iter().find(|(part, _)| file.contains(part)).map(|(_, it)| *it);
        by_file(self.file)
            .or_else(|| by_file(self.function_file))
            .or_else(|| by_file(self.function))
            .unwrap_or(OTHER)
    }
}

/// Parses the format of callgrind's manual, chapter "Callgrind Format Specification": a name is written in
/// full once and then referred to by number; the line after `calls=` is the cost of the called function.
fn parse(text: &str) -> Vec<Cost<'_>> {
    let (mut files, mut functions) = (Names::default(), Names::default());
    let (mut file, mut function_file, mut function) = ("", "", "");
    let (mut costs, mut is_call) = (Vec::new(), false);
    for line in text.lines() {
        match line.split_once('=') {
            Some(("fl", name)) => {
                file = files.resolve(name);
                function_file = file;
            }
            Some(("fi" | "fe", name)) => file = files.resolve(name),
            Some(("fn", name)) => function = functions.resolve(name),
            // These lines may define names too.
            Some(("cfi" | "cfl", name)) => drop(files.resolve(name)),
            Some(("cfn", name)) => drop(functions.resolve(name)),
            Some(("calls", _)) => is_call = true,
            Some(_) => {}
            None if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) => {
                let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok());
                if let Some(instructions) = cost
                    && !std::mem::take(&mut is_call)
                {
                    costs.push(Cost { file, function_file, function, instructions });
                }
            }
            None => {}
        }
    }
    costs
}

/// `(12) name` the first time, `(12)` from then on.
#[derive(Default)]
struct Names<'a>(HashMap<&'a str, &'a str>);

impl<'a> Names<'a> {
    fn resolve(&mut self, text: &'a str) -> &'a str {
        match text.split_once(' ') {
            Some((number, name)) => {
                self.0.insert(number, name);
                name
            }
            None => self.0.get(text).copied().unwrap_or(text),
        }
    }
}

fn of(costs: &[Cost<'_>], wanted: impl Fn(&Cost<'_>) -> bool) -> u64 {
    costs.iter().filter(|cost| wanted(cost)).map(|cost| cost.instructions).sum()
}

/// Most expensive first.
fn sums<'a, K: Eq + std::hash::Hash + Copy>(
    costs: &[Cost<'a>],
    key: impl Fn(&Cost<'a>) -> K,
) -> Vec<(K, u64)> {
    let mut sums: HashMap<K, u64> = HashMap::new();
    for cost in costs {
        *sums.entry(key(cost)).or_default() += cost.instructions;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, instructions)| std::cmp::Reverse(*instructions));
    sums
}

fn row(column: &'static str, name: &str, instructions: u64, of: u64) -> Row {
    Row::default()
        .text(column, name)
        .ratio("instructions", instructions as f64 / FORWARDED as f64)
        .ratio("part", instructions as f64 / of as f64)
}

fn shortened(function: &str) -> String {
    function.replace("switchyard_media::", "").chars().take(MAX_NAME).collect()
}

const CIPHER: &str = "cipher";
const OTHER: &str = "other";
/// Parts of file names and their components; the first match counts.
const COMPONENTS: &[(&str, &str)] = &[
    ("/media/src/router/egress", "egress: queue, rewrite plan"),
    ("/media/src/rtp/header_writer", "egress: header"),
    ("/media/src/batch", "egress: batch"),
    ("/media/src/consumer", "consumer: offer, numbering"),
    ("/media/src/srtp", "SRTP around the cipher"),
    ("/media/src/producer", "producer: stream, history"),
    ("/media/src/codec", "producer: stream, history"),
    ("/media/src/nack", "feedback and reports"),
    ("/media/src/transport_cc", "feedback and reports"),
    ("/media/src/rtcp", "feedback and reports"),
    ("/media/src/router/reports", "feedback and reports"),
    ("/media/src/router/feedback", "feedback and reports"),
    ("/media/src/router/upkeep", "feedback and reports"),
    ("/media/src/timer", "feedback and reports"),
    ("/rtc-", "feedback and reports"),
    ("/media/src/router/ingest", "ingest and fan-out"),
    ("/media/src/", "demux, transports, the rest"),
    ("/aws-lc", CIPHER),
    ("aws_lc", CIPHER),
    ("/bench/src/", "this bench"),
    ("memmove", "memory copied and cleared"),
    ("memset", "memory copied and cleared"),
    ("malloc", "allocator"),
];
const FUNCTIONS: usize = 25;
const MAX_NAME: usize = 90;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_left_out_and_names_known_by_number() {
        let text = "fl=(1) a.rs\nfn=(1) first\n16 400\n+3 20\nfi=(2) b.rs\n* 7\nfe=(1)\ncfi=(3) c.rs\n\
                    cfn=(2) second\ncalls=1 50\n16 9999\n-1 1\n\nfl=(3)\nfn=(2)\n50 5\n";
        let parsed: Vec<_> =
            parse(text).iter().map(|it| (it.file, it.function_file, it.function, it.instructions)).collect();
        let expected = [
            ("a.rs", "a.rs", "first", 400),
            ("a.rs", "a.rs", "first", 20),
            ("b.rs", "a.rs", "first", 7),
            ("a.rs", "a.rs", "first", 1),
            ("c.rs", "c.rs", "second", 5),
        ];
        assert_eq!(parsed, expected);
    }

    #[test]
    fn what_is_inlined_belongs_to_who_inlined_it() {
        let cost = |file, function_file| Cost { file, function_file, function: "f", instructions: 1 };
        let library = cost("library/core/src/option.rs", "/x/crates/media/src/batch.rs");
        assert_eq!(library.component(), "egress: batch");
        let own = cost("/x/crates/media/src/consumer/sent.rs", "/x/crates/media/src/batch.rs");
        assert_eq!(own.component(), "consumer: offer, numbering");
        assert_eq!(cost("library/core/src/option.rs", "???").component(), OTHER);
    }
}
