//! The street and the physical limits beside it, in one run on the real services.

fn main() {}
