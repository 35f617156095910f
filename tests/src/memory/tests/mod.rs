//! What the disk in memory promises, and the product's own rooms on it.

mod runs;
