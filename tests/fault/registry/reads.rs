//! Reads through instances that do not write.

use anyhow::Context as _;
use meshwork_tests::history::{Call, End};
use meshwork_tests::registry::{Client, judge};

use super::{DEADLINE, SELF, hold, register, registered, scenario, text};

const ROUNDS: usize = 100;

/// Right after a write through the writer, a read through a follower that names the write's offset
/// sees it.
#[test]
fn a_follower_shows_what_was_written_when_told_the_offset() {
    scenario("follower", 2, async |mesh| {
        let client = Client::new(DEADLINE)?;
        let writer = mesh.writer().context("nobody is in office")?.number();
        let follower = 1 - writer;
        let mut stale = 0;
        for round in 0..ROUNDS {
            let field = format!("f{round}");
            let call = register("s", &field);
            let heard = mesh.ask((&client, SELF), writer, &call, None).await?;
            let (version, id, offset) = registered(&heard)?;
            let list = Call::List {
                subject: "s".to_owned(),
            };
            // Without an offset it may not know of it yet.
            let heard = mesh.ask((&client, SELF), follower, &list, None).await?;
            if !matches!(&heard.end, End::Versions { versions } if versions.contains(&version)) {
                stale += 1;
            }
            let heard = mesh
                .ask((&client, SELF), follower, &list, Some(offset))
                .await?;
            hold!(
                matches!(&heard.end, End::Versions { versions } if versions.contains(&version)),
                "version {version} at offset {offset} is not in {heard:?}"
            );
            let by_id = Call::ById {
                context: ".".to_owned(),
                id,
            };
            let heard = mesh
                .ask((&client, SELF), follower, &by_id, Some(offset))
                .await?;
            hold!(
                heard.end == End::Text { text: text(&field) },
                "id {id} at offset {offset} is {heard:?}"
            );
        }
        println!("{stale} of {ROUNDS} reads without an offset came too early to see the write");
        judge(mesh).await?;
        Ok(())
    });
}
