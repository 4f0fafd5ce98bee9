//! A line chart over the seconds of a run, as inline SVG.

use super::escape;
use std::fmt::Write;

pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) y: Axis,
    /// The seconds that were measured.
    pub(super) window: Option<(f64, f64)>,
    pub(super) series: Vec<Series>,
}

pub(super) struct Axis {
    pub(super) unit: &'static str,
    /// The least upper end of the axis, so that small noise does not fill the chart.
    pub(super) least_top: f64,
}

pub(super) struct Series {
    pub(super) name: &'static str,
    /// Seconds and values; `None` is a gap.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

impl Chart {
    pub(super) fn render(&self) -> String {
        let scale = self.scale();
        let mut svg = String::new();
        self.draw_window(&scale, &mut svg);
        draw_grid(&scale, &mut svg);
        for (index, series) in self.series.iter().enumerate() {
            let path = path(&series.points, &scale);
            // Writing to a string cannot fail.
            let _ = writeln!(svg, "<path class=\"line s{index}\" d=\"{path}\"/>");
        }
        let _ = writeln!(svg, "<line class=\"cursor\" y1=\"{TOP}\" y2=\"{BOTTOM}\"/>");
        format!(
            "<figure class=\"chart\" data-series=\"{data}\">\n\
             <figcaption><b>{title}</b> <span>{unit}</span>{legend}</figcaption>\n\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title} in {unit} over seconds\">\n\
             {svg}</svg><output></output></figure>\n",
            data = escape(&self.data()),
            title = escape(self.title),
            unit = escape(self.y.unit),
            legend = self.legend(),
        )
    }

    fn legend(&self) -> String {
        if self.series.len() < 2 {
            return String::new();
        }
        let item =
            |(index, series): (usize, &Series)| format!("<i class=\"s{index}\">{}</i>", escape(series.name));
        self.series.iter().enumerate().map(item).collect()
    }

    /// The values that the page's script shows at the pointer.
    fn data(&self) -> String {
        let series = |series: &Series| serde_json::json!({ "name": series.name, "points": series.points });
        let scale = self.scale();
        serde_json::json!({
            "left": LEFT, "right": RIGHT, "width": WIDTH, "seconds": scale.x_top,
            "series": self.series.iter().map(series).collect::<Vec<_>>(),
        })
        .to_string()
    }

    fn scale(&self) -> Scale {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = points().map(|(x, _)| *x).fold(1.0, f64::max);
        let y = points().filter_map(|(_, y)| *y).fold(self.y.least_top, f64::max);
        let (step, ticks) = ticks(y, 4);
        Scale { x_top: x, y_top: step * ticks as f64, y_step: step, y_ticks: ticks }
    }

    fn draw_window(&self, scale: &Scale, svg: &mut String) {
        if let Some((from, to)) = self.window {
            let (left, right) = (scale.x(from), scale.x(to.min(scale.x_top)));
            let (width, height) = (right - left, BOTTOM - TOP);
            let _ = writeln!(
                svg,
                "<rect class=\"window\" x=\"{left:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\"/>"
            );
        }
    }
}

/// Maps data to coordinates; both axes begin at zero.
struct Scale {
    x_top: f64,
    y_top: f64,
    y_step: f64,
    y_ticks: usize,
}

impl Scale {
    fn x(&self, second: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * second / self.x_top
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * value / self.y_top
    }
}

fn draw_grid(scale: &Scale, svg: &mut String) {
    for tick in 0..=scale.y_ticks {
        let value = tick as f64 * scale.y_step;
        let (y, text_y, text_x) = (scale.y(value), scale.y(value) + 4.0, LEFT - 8.0);
        let label = label(value, scale.y_step);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"y\" x=\"{text_x}\" y=\"{text_y:.1}\">{label}</text>"
        );
    }
    let (step, count) = ticks(scale.x_top, 6);
    for tick in (0..=count).map(|tick| tick as f64 * step).filter(|tick| *tick <= scale.x_top) {
        let (x, y) = (scale.x(tick), BOTTOM + 18.0);
        let unit = if tick + step > scale.x_top { " s" } else { "" };
        let label = label(tick, step);
        let _ = writeln!(svg, "<text class=\"x\" x=\"{x:.1}\" y=\"{y}\">{label}{unit}</text>");
    }
}

/// The SVG path of a line with gaps.
fn path(points: &[(f64, Option<f64>)], scale: &Scale) -> String {
    let mut path = String::new();
    let mut pen_is_up = true;
    for (x, y) in points {
        let Some(y) = y else {
            pen_is_up = true;
            continue;
        };
        let command = if pen_is_up { 'M' } else { 'L' };
        let _ = write!(path, "{command}{:.1} {:.1}", scale.x(*x), scale.y(*y));
        pen_is_up = false;
    }
    path
}

/// The distance of round ticks (1, 2 or 5 times a power of ten), and their number up to `top`: about
/// `wanted`.
fn ticks(top: f64, wanted: usize) -> (f64, usize) {
    let rough = top / wanted as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    (step, (top / step - 1e-9).ceil() as usize)
}

/// A tick's label, with enough decimals to distinguish neighbouring ticks; thousands are written with k.
fn label(value: f64, step: f64) -> String {
    let decimals = |step: f64| (-step.log10().floor()).max(0.0) as usize;
    if step >= 1_000.0 || (value >= 10_000.0 && step >= 100.0) {
        let thousands = decimals(step / 1_000.0);
        return format!("{:.thousands$}{}", value / 1_000.0, if value == 0.0 { "" } else { "k" });
    }
    let decimals = decimals(step);
    format!("{value:.decimals$}")
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 548.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 200.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_top() {
        assert_eq!(ticks(42_600.0, 4), (20_000.0, 3));
        assert_eq!(ticks(9.7, 4), (5.0, 2));
        assert_eq!(ticks(4.0, 4), (1.0, 4));
        let (step, count) = ticks(0.1, 4);
        assert!((step - 0.05).abs() < 1e-9 && count == 2);
    }

    #[test]
    fn labels_have_the_decimals_that_ticks_need() {
        assert_eq!(label(40_000.0, 20_000.0), "40k");
        assert_eq!(label(0.0, 20_000.0), "0");
        assert_eq!(label(2_500.0, 500.0), "2500");
        assert_eq!(label(0.05, 0.05), "0.05");
        assert_eq!(label(3.0, 1.0), "3");
    }

    #[test]
    fn a_line_has_gaps_where_nothing_is_known() {
        let scale = Scale { x_top: 10.0, y_top: 1.0, y_step: 1.0, y_ticks: 1 };
        let points = [(0.0, Some(0.0)), (1.0, Some(1.0)), (2.0, None), (3.0, Some(1.0))];
        let path = path(&points, &scale);
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1));
        assert!(path.starts_with("M56.0 200.0L"));
    }
}
