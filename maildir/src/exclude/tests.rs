use super::*;

#[track_caller]
fn excludes(prefix: &str, patterns: &str) -> Excludes {
    let patterns = patterns.split('|').map(|pattern| pattern.as_bytes().to_vec()).collect();
    Excludes::new(&[(prefix.as_bytes().to_vec(), patterns)]).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn check(prefix: &str, patterns: &str, excluded: &[&str], kept: &[&str]) {
    let matcher = excludes(prefix, patterns);
    for folder in excluded {
        assert!(has(&matcher, folder.as_bytes()), "{patterns} must exclude {folder}");
    }
    for folder in kept {
        assert!(!has(&matcher, folder.as_bytes()), "{patterns} must keep {folder}");
    }
}

#[track_caller]
fn has(matcher: &Excludes, folder: &[u8]) -> bool {
    matcher.excludes(&Folder::parse(folder).expect("a folder"))
}

#[test]
fn a_path_as_configured_excludes_that_folder_and_what_is_below() {
    check("Maildir", "Maildir/.Spam", &[".Spam", ".Spam/a/b"], &["", ".Spam2", "x/.Spam", "Maildir/.Spam"]);
    check("/home/me/Mail", "/home/me/Mail/a b", &["a b"], &["a", "b"]);
    check("./Mail/", "./Mail/x/", &["x"], &["y"]);
    check("Mail", "Mail//.foo|Mail/./.bar|Mail/././/x", &[".foo", ".bar", "x"], &["y", ".foo2"]);
    check("", ".Spam|/top", &[".Spam", "a/.Spam", "top"], &["a/top"]);
}

#[test]
fn a_name_alone_matches_at_every_depth() {
    check("Maildir", ".Spam|b*", &[".Spam", "a/.Spam", "bx", "a/by"], &["a", "a/cb"]);
    check("Maildir", "Maildir/**/tmpmail", &["tmpmail", "a/b/tmpmail"], &["a"]);
}

#[test]
fn an_exclamation_mark_takes_back_but_not_below_an_excluded_folder() {
    check("M", "M/*|!M/keep", &["x", "x/keep"], &["keep", ""]);
    check("M", "M/a|!M/a/b", &["a", "a/b"], &[]);
}

#[test]
fn the_root_itself_cannot_be_excluded() {
    check("Maildir", "Maildir", &["x/Maildir"], &["", "x"]);
    check("Maildir", "Maildir/**", &["x"], &[""]);
}

#[test]
fn a_pattern_for_a_whole_root_is_told_apart() {
    let table = [
        ("Mail", "Mail", true),
        ("Mail", "./Mail/", true),
        ("Mail/a b", "Mail", true),
        ("Mail/a", "Mail/*", true),
        ("a/b", "*/b", true),
        ("/home/me/Mail", "/home/me/Mail", true),
        ("/home/me/Mail", "/home/*/Mail", true),
        ("[M]", r"\[M\]", true),
        ("Mail", "Mail/*", false),
        ("Mail", "Mail/cur", false),
        ("Mail", "M*", false),
        ("Mail", "*", false),
        ("Mail", "!Mail", false),
        ("Mail", "**/Mail", false),
        ("Mail/a", "Mail/b", false),
        ("Mail2", "Mail", false),
        ("", "Mail", false),
        ("Mail", "/", false),
    ];
    for (root, pattern, names) in table {
        assert_eq!(names_root(root.as_bytes(), pattern.as_bytes()), names, "{root} {pattern}");
    }
}

#[test]
fn blanks_and_a_hash_mean_themselves() {
    check("M", "M/a |#x", &["a ", "#x"], &["a", "x"]);
}

#[test]
fn odd_bytes_are_matched_by_question_marks_and_stars() {
    let matcher = excludes("M", "M/?x|M/y*");
    assert!(has(&matcher, b"\xffx") && has(&matcher, b"y\xfe\n"));
    assert!(matches!(Excludes::new(&[(Vec::new(), vec![b"\xff".to_vec()])]), Err(ExcludeError::NotUtf8(_))));
}

#[test]
fn either_side_excludes_for_both() {
    let pair = |prefix: &str, pattern: &str| (prefix.as_bytes().to_vec(), vec![pattern.as_bytes().to_vec()]);
    let both = Excludes::new(&[pair("Mail", "Mail/a"), pair("srv/mail", "srv/mail/b")]).expect("they compile");
    assert!(has(&both, b"a") && has(&both, b"b") && !has(&both, b"c"));
}

/// Local names are canonical ones in reverse, by components; `x` has none.
#[derive(Debug)]
struct Reverse;

impl Naming for Reverse {
    fn canonical(&self, local: &Folder) -> Result<Folder, String> {
        let mut all: Vec<&[u8]> = local.components().collect();
        all.reverse();
        if all == [b"x"] { Err("x".to_owned()) } else { Folder::from_components(all).map_err(|e| e.to_string()) }
    }

    fn local(&self, canonical: &Folder) -> Result<Folder, String> {
        self.canonical(canonical)
    }

    fn fingerprint(&self) -> &str {
        "reverse"
    }
}

#[test]
fn a_folder_with_two_names_is_left_alone_by_either_and_both_ways_to_ask_agree() {
    let one = |prefix: &str, patterns: &str| {
        if patterns.is_empty() { Excludes::default() } else { excludes(prefix, patterns) }
    };
    for (canonical, local) in [("", "L/a"), ("C/a", ""), ("C/a", "L/b"), ("C/b/a", "L/c"), ("C/*|!C/a", "")] {
        let with = |asked| one("C", canonical).with(one("L", local), Arc::new(Reverse), asked);
        let (wire, disk) = (with(Names::Canonical), with(Names::Local));
        assert_eq!(wire.fingerprint(), disk.fingerprint());
        let mut left_alone = 0;
        for name in ["", "a", "b", "a/b", "b/a", "a/b/c", "c/b/a", "b/c/a", "c"] {
            let name = Folder::parse(name.as_bytes()).expect("a folder");
            let path = Reverse.local(&name).expect("has one");
            assert_eq!(wire.excludes(&name), disk.excludes(&path), "{canonical} {local}: {name}");
            left_alone += usize::from(wire.excludes(&name));
        }
        assert!(left_alone > 0, "{canonical} {local}");
    }
    let disk = excludes("C", "C/*").with(Excludes::default(), Arc::new(Reverse), Names::Local);
    assert!(has(&disk, b"a/b") && !has(&disk, b"x"), "without a name nothing is excluded by it");
    assert!(!disk.prunes(&Folder::parse(b"a").expect("a folder")), "only the names asked by cut off what is below");
}

#[test]
fn a_pattern_may_name_the_directories_that_hold_mail() {
    // The predecessor's manual has the first.
    check("Mail", "Mail/.foo/*", &[".foo", ".foo/a"], &["", ".foo2", "x/.foo"]);
    check("Mail", "Mail/.foo/cur", &[".foo"], &["", ".foo/a", ".foo/cur2"]);
    check("Mail", "Mail/.foo/new/", &[".foo"], &["", ".foo/a"]);
    check("Mail", "Mail/.foo/cur/*", &[".foo"], &["", ".foo/a"]);
    check("Mail", "Mail/cur", &[""], &["a", ".foo"]);
    check("Mail", "./Mail/new", &[""], &["a"]);
    check("Mail", "Mail/{cur,new}", &[""], &["a"]);
    check("Mail", "Mail/*/cur", &["a", ".foo"], &["", "a/b"]);
    check("Mail", "Mail/.a b/???", &[".a b", ".a b/xyz"], &["", ".a b/wxyz"]);
    check("a/b", "a/b/cur|a/b/x/*", &["", "x", "x/y"], &["y"]);
    check("/home/me/Mail", "/home/me/Mail/.foo/cur", &[".foo"], &["", ".foo/x"]);
    check("", "cur|.foo/cur", &["", ".foo"], &["a", ".foo/x"]);
    check("Mail", "Mail/[C]/*", &["C", "C/a"], &["[C]", ""]);
}

#[test]
fn a_wildcard_that_may_be_a_name_means_folders_and_never_the_root() {
    check("M", "M/*", &["a", "a/b"], &[""]);
    check("M", "M/a/c*|c*", &["a/cx", "cx", "b/cur2"], &["", "a", "b"]);
    check("M", "*", &["a"], &[""]);
    check("M", "cur|new", &[], &["", "a"]);
    check("M", "M/a/tmp", &[], &["", "a"]);
}

#[test]
fn what_names_mail_can_be_taken_back_too() {
    check("M", "M/a/*|!M/a/keep", &["a", "a/x"], &["a/keep"]);
    check("M", "M/a/*|!M/a", &["a/x"], &["a"]);
    check("M", "M/cur|!M/cur", &[], &[""]);
    check("M", "!M/a|M/a/cur", &["a"], &["", "a/b"]);
}

#[test]
fn what_is_left_alone_without_what_is_below_it_cuts_nothing_off() {
    let matcher = excludes("M", "M/a/cur|M/cur");
    let folder = |path: &str| Folder::parse(path.as_bytes()).expect("a folder");
    for path in ["", "a"] {
        assert!(matcher.excludes_alone(&folder(path)) && !matcher.prunes(&folder(path)), "{path}");
    }
}

#[test]
fn the_pattern_that_excludes_is_named_as_it_was_given() {
    let with =
        |asked| excludes("C", "C/a b|z|C/m/cur").with(excludes("L", "L/c|!L/d|L/n/m/new"), Arc::new(Reverse), asked);
    let (wire, disk) = (with(Names::Canonical), with(Names::Local));
    let why = |matcher: &Excludes, folder: &str| {
        let folder = Folder::parse(folder.as_bytes()).expect("a folder");
        matcher.why(&folder).map(|pattern| String::from_utf8_lossy(pattern).into_owned())
    };
    for (canonical, local, pattern) in [
        ("a b/q", "q/a b", Some("C/a b")),
        ("q/c", "c/q", Some("L/c")),
        ("d", "d", None),
        ("m", "m", Some("C/m/cur")),
        ("m/n", "n/m", Some("L/n/m/new")),
        ("m/n/o", "o/n/m", None),
    ] {
        assert_eq!(
            (why(&wire, canonical), why(&disk, local)),
            (pattern.map(str::to_owned), pattern.map(str::to_owned))
        );
    }
    let all: Vec<&[u8]> = wire.met().map(|(pattern, _)| pattern).collect();
    assert_eq!(all, [&b"C/a b"[..], b"z", b"C/m/cur", b"L/c", b"!L/d", b"L/n/m/new"]);
}

#[test]
fn which_patterns_matched_anything_is_known_by_every_copy() {
    let matcher = excludes("M", "M/a|a|M/[x]|M/b/*|M/a/deep|M/c/cur|M/*y|!M/zy|M/gone");
    let copy = matcher.clone();
    for folder in ["", "a", "b", "c", "d", "zy"] {
        has(&copy, folder.as_bytes());
    }
    let idle: Vec<&[u8]> = matcher.met().filter(|(_, met)| !met).map(|(pattern, _)| pattern).collect();
    assert_eq!(idle, [&b"M/[x]"[..], b"M/gone"]);
}

#[test]
fn what_two_pairs_exclude_is_matched_by_both() {
    let pair = |prefix: &str, pattern: &str| (prefix.as_bytes().to_vec(), vec![pattern.as_bytes().to_vec()]);
    let both = Excludes::new(&[pair("Mail", "Mail/a"), pair("M", "M/a/*"), pair("N", "N/a")]).expect("they compile");
    assert!(has(&both, b"a") && both.met().all(|(_, met)| met), "{both:?}");
}

#[test]
fn what_a_pattern_without_a_match_may_have_meant_is_told() {
    let matcher = excludes("M", "M/[Gmail].All Mail|M/spam/*|M/gone|M/a|M/{b}");
    let folders: Vec<Folder> = ["", "a", "[Gmail].All Mail", ".Spam", "{b}"]
        .map(|path| Folder::parse(path.as_bytes()).expect("a folder"))
        .into();
    folders.iter().for_each(|folder| _ = matcher.excludes(folder));
    let meant: Vec<(Vec<u8>, Vec<u8>)> = matcher.meant(folders.iter()).into_iter().collect();
    let pair = |pattern: &str, meant: &str| (pattern.as_bytes().to_vec(), meant.as_bytes().to_vec());
    assert_eq!(
        meant,
        [pair("M/[Gmail].All Mail", "M/[Gmail].All Mail"), pair("M/spam/*", "M/.Spam"), pair("M/{b}", "M/{b}"),]
    );
    let with = excludes("C", "C/none").with(excludes("L", "L/[x]/y"), Arc::new(Reverse), Names::Canonical);
    let folder = Folder::parse(b"y/[x]").expect("a folder");
    assert_eq!(with.meant(std::iter::once(&folder)).into_iter().collect::<Vec<_>>(), [pair("L/[x]/y", "L/[x]/y")]);
}

#[test]
fn a_pattern_can_name_one_folder_whatever_is_in_its_name() {
    for name in ["a", "a b ", "!x", "#x", "a*?[b]{c,d}\\", ".a/b c", "a\nb", "a\n", "\ta\t", "a\u{a0}", "a\\\n", "cury"]
    {
        let folder = Folder::parse(name.as_bytes()).expect("a folder");
        let pattern = pattern_for(&folder).expect("has one");
        let matcher = Excludes::new(&[(Vec::new(), vec![pattern])]).expect("it compiles");
        assert!(matcher.excludes(&folder) && has(&matcher, format!("{name}/z").as_bytes()), "{name:?}");
        for other in ["x", "ab", &format!("{name}x"), &format!("z/{name}"), "a*b", "c", ".a"] {
            assert!(other == name || !has(&matcher, other.as_bytes()), "{name:?} {other}");
        }
    }
    assert_eq!((pattern_for(&Folder::root()), pattern_for(&Folder::parse(b"\xff").expect("a folder"))), (None, None));
}

#[test]
fn nonsense_and_floods_are_refused() {
    assert!(matches!(Excludes::new(&[(Vec::new(), vec![b"a[".to_vec()])]), Err(ExcludeError::Syntax { .. })));
    assert_eq!(Excludes::new(&[(Vec::new(), vec![b"a".to_vec(); PATTERNS_MAX + 1])]), Err(ExcludeError::TooMany));
    assert_eq!(Excludes::new(&[(vec![b'a'; PATTERN_LEN_MAX + 1], Vec::new())]), Err(ExcludeError::TooMany));
}

#[test]
fn the_fingerprint_tells_sets_apart() {
    assert_eq!(Excludes::new(&[(b"M".to_vec(), Vec::new())]).expect("nothing to compile").fingerprint(), "");
    assert!(Excludes::default().is_empty());
    let text = excludes("M", "a b|c");
    assert_eq!(text.fingerprint(), "M:a\\x20b:c:;");
    assert_ne!(text, excludes("M", "a|b|c"));
}
