use crate::report::Report;

pub(crate) fn page(report: &Report) -> String {
    format!("<pre>{report}</pre>")
}
