//! What happens in a world, in words: who does what to which message, and what goes wrong at which call.
//!
//! A [`Scenario`] is played by the same world as a random case ([`mod@super::play`]), which is one too, by number. By name it
//! asks for messages, folders and calls; whatever of them is not there breaks the scenario with a sentence that says what
//! was there instead, so that no kept case goes blind. A random case that fails is told as a scenario, ready to be kept.
//!
//! The seed decides schedules, the order of listings and what a crash leaves. Deliberately not here: what any of it does,
//! and what must hold (`play`).

pub mod about;
mod by_name;
mod plays;
mod print;
mod step;
#[cfg(test)]
mod tests;
pub mod words;

pub use by_name::{ByName, Labels, Naming};
pub use plays::{at_every_call, plays};
pub use step::{
    Beside, Blow, Cutting, Doing, Moment, NamedCall, Names, Pick, Plan, Scenario, Side, Step, Stretch, Which, Word,
};
