//! Landlock: nothing is opened, made, renamed or removed but in the grounds; nothing is run; no TCP connection, and no signal
//! or abstract socket to other processes, where the kernel knows these.
//!
//! Its first version (Linux 5.13 to 5.18) forbids every rename between two directories, and a message that is filed is one. There
//! it is left out.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};

use super::grounds::{Grounds, Right};
use super::without::Without;

/// The newest version that was tried.
const TRIED: ABI = ABI::V7;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
});
const MAKE_DIR: BitFlags<AccessFs> = make_bitflags!(AccessFs::{MakeDir});

/// Why this system's Landlock is of no use; none when it is.
pub(super) fn lacking(without: &Without) -> Option<String> {
    let knows = |access: BitFlags<AccessFs>| {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(access);
        ruleset.and_then(Ruleset::create).is_ok()
    };
    if without.landlock || !knows(AccessFs::from_all(ABI::V1)) {
        return Some("this kernel has none, or does not use it".to_owned());
    }
    (without.refer || !knows(AccessFs::Refer.into())).then(|| {
        "this kernel has its first version, which forbids every rename between directories (Linux 5.19 has the second)".to_owned()
    })
}

/// Confines this thread and those that it starts. Gives the version.
pub(super) fn confine(grounds: &Grounds) -> Result<i32, String> {
    let all = || -> Result<_, landlock::RulesetError> {
        let ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(TRIED))?
            .handle_access(AccessNet::from_all(TRIED))?
            .scope(Scope::from_all(TRIED))?
            .create()?;
        let rules = grounds.iter().map(|ground| {
            let access = match ground.right {
                Right::Read => READ,
                Right::Write => WRITE,
                Right::MakeDir => MAKE_DIR,
            };
            Ok::<_, landlock::RulesetError>(PathBeneath::new(&ground.dir, access))
        });
        ruleset.add_rules(rules)?.restrict_self()
    };
    let status = all().map_err(|error| error.to_string())?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => Err("this kernel did not enforce it".to_owned()),
        (_, LandlockStatus::Available { effective_abi, kernel_abi }) => Ok(kernel_abi.unwrap_or(effective_abi as i32)),
        _ => Err("this kernel has none, or does not use it".to_owned()),
    }
}
