//! The machines alone: no network, no database, only inputs and steps.
mod arriving;
mod receiving;
mod shell;
