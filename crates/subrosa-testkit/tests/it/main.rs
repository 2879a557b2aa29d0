//! Whole clients over a whole node.
mod crash;
mod due;
mod faults;
mod registration;
mod streams;
mod talk;
