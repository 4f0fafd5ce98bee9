//! The common form in which all results are printed and written.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::fmt;

#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The meaning and unit of the figures.
    pub(crate) about: &'static str,
    rows: Vec<Row>,
}

/// Cells by column; all rows of a table have the same columns.
#[derive(Debug, Default)]
pub(crate) struct Row(Vec<(&'static str, Cell)>);

#[derive(Debug)]
enum Cell {
    Text(String),
    Count(u64),
    Figure {
        value: f64,
        /// Printed digits after the decimal point.
        digits: usize,
    },
}

impl Table {
    pub(crate) fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, rows: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }
}

impl Row {
    pub(crate) fn text(mut self, column: &'static str, text: impl Into<String>) -> Self {
        self.0.push((column, Cell::Text(text.into())));
        self
    }

    pub(crate) fn count(mut self, column: &'static str, count: impl TryInto<u64>) -> Self {
        self.0.push((column, Cell::Count(count.try_into().unwrap_or(u64::MAX))));
        self
    }

    /// Adds a value printed as a whole number, mostly nanoseconds.
    pub(crate) fn whole(self, column: &'static str, value: f64) -> Self {
        self.figure(column, value, 0)
    }

    /// Adds a value printed with two digits after the decimal point.
    pub(crate) fn ratio(self, column: &'static str, value: f64) -> Self {
        self.figure(column, value, 2)
    }

    fn figure(mut self, column: &'static str, value: f64, digits: usize) -> Self {
        self.0.push((column, Cell::Figure { value, digits }));
        self
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, cell) in &self.0 {
            map.serialize_entry(column, cell)?;
        }
        map.end()
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Figure { value, .. } => serializer.serialize_f64(*value),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}: {}", self.name, self.about)?;
        let Some(first) = self.rows.first() else { return writeln!(f, "  (nothing measured)") };
        let widths: Vec<usize> = (0..first.0.len()).map(|column| self.width(column)).collect();
        for ((name, _), width) in first.0.iter().zip(&widths) {
            write!(f, "  {name:>width$}")?;
        }
        for row in &self.rows {
            writeln!(f)?;
            for ((_, cell), width) in row.0.iter().zip(&widths) {
                write!(f, "  {:>width$}", cell.to_string())?;
            }
        }
        writeln!(f)
    }
}

impl Table {
    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.0.get(column));
        cells.map(|(name, cell)| name.len().max(cell.to_string().len())).max().unwrap_or_default()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Count(count) => write!(f, "{count}"),
            Self::Figure { value, digits } => write!(f, "{value:.digits$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new("demo", "nothing");
        table.push(Row::default().text("device", "loopback").whole("ns", 1234.6));
        table.push(Row::default().text("device", "sink").whole("ns", 7.0));
        assert_eq!(
            table.to_string(),
            "\ndemo: nothing\n    device    ns\n  loopback  1235\n      sink     7\n"
        );
    }

    #[test]
    fn a_row_is_written_as_an_object_by_column() {
        let row = Row::default().count("k", 5_usize).ratio("ratio", 1.25);
        assert_eq!(serde_json::to_string(&row).unwrap(), r#"{"k":5,"ratio":1.25}"#);
    }
}
