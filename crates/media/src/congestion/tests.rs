//! The controller on links.

mod hostile;
mod links;
mod model;
