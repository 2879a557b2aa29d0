//! The command `subrosa`.
fn main() {}
