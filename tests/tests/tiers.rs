//! Whether the quick tier is what it says it is: a filter that names no test is silent.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Modules whose every test takes long, or wants the disk for itself.
const FULL_ONLY: &[&str] = &["busy", "converge", "everything", "kill"];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The tests and modules that the quick tier names, without what it takes out.
fn quick() -> Vec<String> {
    let config = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.config/nextest.toml"));
    let filter = config.split_once("[profile.quick]").and_then(|(_, rest)| rest.split("\"\"\"").nth(1));
    let filter = filter.expect("the quick tier has a filter of several lines").to_owned();
    let named = filter.split("test(").skip(1).filter_map(|rest| rest.split_once(')'));
    named.map(|(name, _)| name.trim_matches(['=', '/', '^']).to_owned()).collect()
}

#[test]
fn every_test_that_the_quick_tier_names_exists() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = quick();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        let (module, test) = name.rsplit_once("::").unwrap_or(("main", &name));
        let path = module.replace("::", "/");
        let places = [top.join("tests"), top.join("../models/src")]
            .map(|place| [place.join(format!("{path}.rs")), place.join(&path).join("mod.rs")]);
        let sources: Vec<String> =
            places.iter().flatten().filter_map(|source| fs::read_to_string(source).ok()).collect();
        assert!(!sources.is_empty(), "{name}: there is no such module");
        assert!(
            test.is_empty() || sources.iter().any(|source| source.contains(&format!("fn {test}()"))),
            "{name}: no such test"
        );
    }
}

#[test]
fn the_quick_tier_has_a_test_of_each_kind() {
    let main = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/main.rs"));
    let modules: BTreeSet<&str> =
        main.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
    let names = quick();
    for module in modules {
        let has = names.iter().any(|name| name.split("::").next() == Some(module));
        assert_ne!(has, FULL_ONLY.contains(&module), "{module}");
    }
}
