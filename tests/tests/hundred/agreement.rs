//! Bases, and the agreement on them.

use smd_protocol::wire::{FromClient, FromServer, Ids, Looked, RootAnswer};
use smd_protocol::{BaseId, Digest};
use smd_tests::hostile::stage::{Stage, none};
use smd_tests::hostile::{Client, answer, hello};
use smd_tests::tree;

use super::deltas::agrees;

fn prepares(client: &Client, counter: u64, from: Option<BaseId>) -> BaseId {
    client.say(&FromClient::PrepareEnd { root: 0, counter, from });
    client.until(|said| if let FromServer::Prepared { id, .. } = said { Some(id) } else { None }).expect("a base")
}

#[test]
fn no_base_is_agreed_on_but_the_one_that_both_computed() {
    let mut stage = Stage::new();
    let id = BaseId { counter: 1, digest: Digest::of(b"") };
    stage.refused(95, "a base that was never prepared", |client| client.say(&FromClient::Commit { root: 0, id }));
    let root = stage.root();
    let asks = hello(root.as_bytes());
    stage.at_server(95, "another one than was prepared", &[76], Some(&asks), |client| {
        prepares(client, 1, None);
        client.say(&FromClient::Commit { root: 0, id: BaseId { counter: 1, digest: Digest::of(b"other") } });
    });
    stage.at_server(95, "one that was given up", &[76], Some(&asks), |client| {
        let id = prepares(client, 1, None);
        client.say(&FromClient::Abort { root: 0 });
        client.say(&FromClient::Commit { root: 0, id });
    });
    stage.at_server(95, "one that is committed already", &[76], Some(&asks), |client| {
        let id = prepares(client, 1, None);
        (0..2).for_each(|_| client.say(&FromClient::Commit { root: 0, id }));
    });
    let root = stage.root();
    stage.at_server(
        99,
        "changes after the commit that do not begin with it",
        &[76],
        Some(&hello(root.as_bytes())),
        |client| {
            let id = prepares(client, 1, None);
            client.say(&FromClient::Commit { root: 0, id });
            client
                .until(|said| matches!(said, FromServer::Committed { .. }).then_some(()))
                .expect("it is the current one");
            client.say(&FromClient::PrepareEnd { root: 0, counter: 2, from: None });
        },
    );

    let mail = tree::list(&stage.world.client().maildir());
    let mut agreed = None;
    stage.at_client(96, "an honest first run with this server", &[0], &[], |server| agreed = agrees(server, &answer()));
    let both = |ids| RootAnswer { ids, counter: 1, ..answer() };
    let old = BaseId { counter: 1, digest: Digest::of(b"an old base") };
    for (number, what, ids) in [
        (96, "our own id for another base", Ids { current: agreed, next: agreed }),
        (97, "an id of long ago", Ids { current: Some(old), next: None }),
        (97, "no id any more", Ids::default()),
    ] {
        stage.at_client(number, what, &[0, 1, 3, 69], &[], |server| {
            server.meet(&[], &both(ids));
            server.looked(Looked::default());
            server.plays_along();
        });
        assert!(tree::list(&stage.world.client().maildir()) == mail, "{number} {what}: the root changed");
    }
    for label in ["../../x", "", ".x", "a/b", "a\0b", &"x".repeat(101)] {
        stage.at_server(98, &format!("a client called {label:?}"), &[76], None, |client| {
            let mut asks = hello(b"Maildir");
            asks.client = label.to_owned();
            client.say(&FromClient::Hello(asks));
        });
    }
    stage.at_server(98, "a name of the root that is another one's", &[0], None, |client| {
        let mut asks = hello(b"Maildir");
        asks.roots[0].root = Some("somebody-elses".to_owned());
        // Nothing follows but the right name.
        let told = client.greet(&asks).expect("an answer");
        assert_ne!(told.roots[0].root, "somebody-elses");
        client.say(&FromClient::Bye);
    });
    none(98, "a key that may name itself as any client is the account's; the restricted shell names it");
    for round in 0..5 {
        stage.at_client(100, &format!("the server ends between both promotions, {round}"), &[69, 76], &[], |server| {
            server.meet(&[], &RootAnswer { root: format!("cut{round}"), ..answer() });
            server.looked(Looked::default());
            server.plays_along();
        });
        assert!(tree::list(&stage.world.client().maildir()) == mail, "100: the root changed");
    }
    none(100, "all ways to cut it: agreement::tests::no_crash_and_no_lost_message_parts_the_hosts");
    stage.end();
}
