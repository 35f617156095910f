//! What only a real `ssh` shows: the restricted key, and errors in the words of a person.

use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::tree::Tree;
use smd_tests::user::User;
use smd_tests::world::{Link, World, finish};

fn world(link: Link) -> World {
    let world = World::new(link);
    populate::populate(&world.server().maildir(), "first", Spec::plain(50, 6), &mut Rng::from_env_or(50));
    world
}

#[test]
fn a_key_restricted_to_the_server_is_enough_for_pull_push_and_sync() {
    let world = world(Link::RestrictedSsh);
    let mut us = User::new(&world.client().maildir(), "us", Rng::from_env_or(51));
    let mut them = User::new(&world.server().maildir(), "them", Rng::from_env_or(52));
    world.pull(&[]).ok();
    world.assert_equal();
    us.deliver("");
    world.push(&[]).ok();
    world.assert_equal();
    them.deliver("");
    us.deliver("Work");
    world.sync(&[]).ok();
    world.assert_equal();
    assert_eq!(Tree::read(&world.client().maildir()).len(), 53);
}

#[test]
fn a_server_program_that_is_not_installed_is_named_with_a_way_out() {
    let world = world(Link::Ssh);
    let mut command = world.command("smd-sync", world.client());
    let rsh = world.link_options(world.server())[1].clone();
    command
        .args(["-e", &rsh, "--remote-command", "/not/there/smd-server"])
        .arg(world.client().maildir())
        .arg("office:Maildir");
    let failed = finish(&mut command).says("--remote-command");
    assert!(![0, 1, 2, 3, 70].contains(&failed.code), "{failed}");
    assert!(Tree::read(&world.client().maildir()).is_empty());
}

#[test]
fn a_host_that_cannot_be_reached_is_a_network_error_and_worth_another_try() {
    let mut world = world(Link::Ssh);
    world.pull(&[]).ok();
    world.sshd().stop();
    world.sync(&[]).exits(69).says("office");
}

#[test]
fn an_unknown_host_key_and_a_refused_key_are_refusals() {
    let mut world = world(Link::Ssh);
    world.sshd().forget_host_key();
    world.sync(&[]).exits(77).says("host key");
    let mut other = self::world(Link::Ssh);
    other.sshd().shut_out();
    other.sync(&[]).exits(77).says("office");
}

#[test]
fn noise_of_a_shells_start_up_file_is_recognised_and_explained() {
    let world = world(Link::Rsh);
    let noisy = world.dir().join("noisy");
    let text = "#!/bin/sh\necho 'Welcome to office! You have no new news.'\nexec cat >/dev/null\n";
    std::fs::write(&noisy, text).expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&noisy, mode).expect("a script");
    let mut command = world.command("smd-sync", world.client());
    let line = noisy.display().to_string();
    finish(command.args(["-e", &line]).arg(world.client().maildir()).arg("office:Maildir"))
        .exits(76)
        .says("Welcome to office!");
}
