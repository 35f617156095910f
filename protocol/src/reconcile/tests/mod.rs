//! Tests of the planner: tables of small texts, and random worlds against a small oracle.
//!
//! * `world`: hosts as maps, a strict executor of steps, whole runs;
//! * `text`: base, ours and theirs as text in, the plan as text out;
//! * `table`, `moves`, `clashes`, `adopt`, `folders`, `holds`, `guard`, `bases`: what the design says, sentence by sentence;
//! * `model`, `users`: random users, random runs, random faults, and what must hold all the same;
//! * `size`: no room of the planner is quadratic.

mod adopt;
mod bases;
mod begun;
mod clashes;
mod folders;
mod guard;
mod holds;
mod model;
mod moves;
mod size;
mod table;
mod text;
mod users;
mod world;
