//! Whole clients over a whole node.
mod talk;
