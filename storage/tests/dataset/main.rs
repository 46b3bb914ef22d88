//! The Region's memory through its public interface: against a model, against itself, and over restarts.

mod behaviour;
mod content;
mod draw;
mod ends;
mod entries;
mod eviction;
mod fields;
mod golden;
mod loans;
mod model;
mod ranks;
mod recall;
mod residency;
mod scan;
mod support;
