//! The report as one HTML page that needs no other file and no network: key figures, charts over time, the
//! whole table.

mod chart;

use crate::report::{Moment, Report};
use chart::{Axis, Chart, Series};

pub(crate) fn page(report: &Report) -> String {
    let title = format!("Switchyard load test: {}", report.scenario.name());
    let (style, script) = (include_str!("html/page.css"), include_str!("html/page.js"));
    let figures: String = figures(report).iter().map(Figure::render).collect();
    let charts: String = charts(report).iter().map(Chart::render).collect();
    let rows: String = report
        .rows()
        .iter()
        .map(|(name, value)| format!("<tr><th>{}</th><td>{}</td></tr>\n", escape(name), escape(value)))
        .collect();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n\
         <header><h1>{title}</h1><p>{subtitle}</p></header>\n\
         <section class=\"figures\">\n{figures}</section>\n\
         <section class=\"charts\">\n{charts}</section>\n\
         <section><h2>Everything</h2><table>\n{rows}</table></section>\n\
         </main>\n<script>\n{script}</script>\n</body>\n</html>\n",
        title = escape(&title),
        subtitle = escape(&subtitle(report)),
    )
}

fn subtitle(report: &Report) -> String {
    let pinned = if report.pinned { ", the server alone on one core" } else { "" };
    format!(
        "{} publishing, {} receiving; {}. Measured for {} s (shaded){pinned}.",
        report.peers.publishing, report.peers.receiving, report.media_sent, report.window_seconds,
    )
}

/// A key figure.
struct Figure {
    name: &'static str,
    value: String,
    unit: &'static str,
}

impl Figure {
    fn render(&self) -> String {
        let Self { name, value, unit } = self;
        let (name, value, unit) = (escape(name), escape(value), escape(unit));
        format!("<div class=\"figure\"><b>{value} <small>{unit}</small></b><span>{name}</span></div>\n")
    }
}

fn figures(report: &Report) -> Vec<Figure> {
    let unknown = || "–".to_owned();
    let media = &report.media;
    let server = report.server.as_ref();
    let cost = server.and_then(|server| server.cpu_us_per_forwarded_packet);
    let mut figures = vec![
        Figure {
            name: "server CPU per forwarded packet",
            value: cost.map_or_else(unknown, |cost| format!("{cost:.2}")),
            unit: "µs",
        },
        Figure {
            name: "delivered",
            value: media.delivered.map_or_else(unknown, |share| format!("{:.3}", 100.0 * share)),
            unit: "%",
        },
        Figure {
            name: "latency, 99th percentile",
            value: media.latency_ms.map_or_else(unknown, |latency| format!("{:.1}", latency.p99)),
            unit: "ms",
        },
        Figure { name: "forwarded", value: format!("{:.0}", media.received_per_second), unit: "packets/s" },
        Figure {
            name: "server memory",
            value: server.map_or_else(unknown, |server| format!("{:.0}", server.used.resident_mib)),
            unit: "MiB",
        },
    ];
    if let Some(good) = report.limit.as_ref().and_then(|limit| limit.last_good()) {
        figures.insert(0, Figure { name: "last good point", value: good.peers.to_string(), unit: "peers" });
    }
    figures
}

fn charts(report: &Report) -> Vec<Chart> {
    let moments = &report.timeline;
    let series = |name, value: &dyn Fn(&Moment) -> Option<f64>| Series {
        name,
        points: moments.iter().map(|moment| (moment.second as f64, value(moment))).collect(),
    };
    let latency = |name, quantile: fn(&crate::report::Spread) -> f64| {
        series(name, &|moment: &Moment| moment.latency_ms.as_ref().map(quantile))
    };
    let window = report.window_start.map(|start| (start as f64, (start + report.window_seconds) as f64));
    let chart = |title, unit, least_top, series| Chart { title, y: Axis { unit, least_top }, window, series };
    vec![
        chart(
            "Throughput",
            "packets/s",
            1.0,
            vec![series("received", &|moment| Some(moment.received_per_second))],
        ),
        chart(
            "Latency",
            "ms",
            1.0,
            vec![
                latency("p99", |latency| latency.p99),
                latency("p95", |latency| latency.p95),
                latency("p50", |latency| latency.p50),
            ],
        ),
        chart("Loss", "% missing", 0.1, vec![series("missing", &|moment| moment.missing_percent)]),
        chart("Peers", "present", 1.0, vec![series("present", &|moment| Some(moment.peers as f64))]),
        chart(
            "CPU",
            "cores",
            0.1,
            vec![
                series("server", &|moment| moment.server_cores),
                series("load generator", &|moment| moment.generator_cores),
            ],
        ),
        chart(
            "Server memory",
            "MiB resident",
            1.0,
            vec![series("server", &|moment| moment.server_resident_mib)],
        ),
    ]
}

/// Escapes text for HTML elements and attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[test]
    fn what_a_server_or_a_user_wrote_cannot_become_markup() {
        let mut report = report();
        report.peers.first_failure = Some("<script>alert('x')</script>".to_owned());
        let page = page(&report);
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
        assert_eq!(page.matches("<script>").count(), 1);
    }

    #[test]
    fn the_page_needs_no_other_file() {
        let page = page(&report());
        for outside in ["http:", "https:", "src=", "url(", "@import", "<link"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn the_page_leads_with_the_figures_and_has_every_chart() {
        let page = page(&report());
        assert!(
            page.contains("<b>4.00 <small>µs</small></b>") && page.contains("<b>99.950 <small>%</small></b>")
        );
        assert_eq!(page.matches("<svg").count(), 6);
    }

    #[test]
    fn a_run_of_which_little_is_known_still_has_a_page() {
        let mut report = report();
        (report.server, report.timeline, report.limit) = (None, Vec::new(), None);
        (report.media.delivered, report.media.latency_ms) = (None, None);
        assert!(page(&report).contains("<b>–"));
    }
}
