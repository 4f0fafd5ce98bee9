//! The controller on links.

mod controller;
mod hostile;
mod links;
mod model;
