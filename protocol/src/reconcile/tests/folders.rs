//! Folders made, removed, and made again.

use super::text::{check, planned};

#[test]
fn an_empty_new_folder_is_made() {
    check("o a/", "theirs: make a/");
    check("t a/b/", "ours: make a/b/");
    check("ot a/", "agreed: a/ there");
}

#[test]
fn a_removed_empty_folder_is_removed() {
    check("bo a/", "ours: remove a/");
    check("b a/", "agreed: a/ gone");
}

#[test]
fn a_folder_goes_after_its_messages() {
    check("bo a/x cur S h b", "ours: delete a/x\n ours: remove a/");
}

#[test]
fn a_folder_whose_mail_survives_is_made_again_and_said() {
    check(
        "b a/x cur S h b\n o a/x cur S h c",
        "theirs: make a/\n theirs: put a/x cur S h c from wire\n note: folder kept: a/",
    );
    check(
        "b a/x cur S h b\n o a/x cur S h b\n o a/y cur S h c",
        "theirs: make a/\n theirs: put a/y cur S h c from wire\n ours: delete a/x\n note: folder kept: a/",
    );
}

#[test]
fn a_sub_folder_stays_when_its_parent_goes() {
    check("bo a/ \n bot a/b/ \n bot a/b/x cur S h b", "ours: remove a/");
}

#[test]
fn the_root_is_never_removed() {
    planned("bo x cur S h b", "ours: delete x");
}

#[test]
fn a_folder_waits_for_what_waits_in_it() {
    planned("! no-delete\n bo a/x cur S h b", "ours: delete a/x (NoDelete)\n ours: remove a/ (NoDelete)");
    planned("! push\n bo a/x cur S h b", "ours: delete a/x (Direction)\n ours: remove a/ (Direction)");
}

#[test]
fn a_folder_made_on_one_host_only_is_not_yet_in_the_base() {
    planned("! pull\n o a/", "theirs: make a/ (Direction)");
}
