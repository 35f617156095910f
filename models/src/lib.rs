//! Hosts in memory: what no whole program can be made to meet is played here by the product's own rooms.
//!
//! A [`memory::Memory`] is the disk of one host, for a crash between any two calls, the k-th call failing, another hand
//! between two names of a listing. A [`model`] plays whole sessions on such disks, both ends in one thread, with users and
//! faults in between; an [`agreement`] plays only the commit of a base on two of them, and leaves no way out in which it may
//! be cut. [`fuzz`] gives any bytes to everything that reads what somebody else wrote.
//!
//! A crate of its own, since it is the only one among the tests that wants an optimising compiler.
//!
//! Deliberately not here: real processes and disks (`smd-tests`).

#[cfg(any(test, feature = "soak"))]
pub mod agreement;
#[cfg(any(test, feature = "soak"))]
pub mod fuzz;
#[cfg(any(test, feature = "soak"))]
pub mod memory;
#[cfg(any(test, feature = "soak"))]
pub mod model;
