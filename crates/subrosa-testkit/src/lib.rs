//! The simulated world: many clients, one node, seeded faults and crashes. Cross-crate tests live here.
