//! The controller on links.

mod controller;
mod fuzz;
mod hostile;
mod links;
mod model;
