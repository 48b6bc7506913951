//! Leases with fencing numbers.
//!
//! A row is taken by a condition on all that was read of it. A renewal of a running lease keeps its fence; whoever takes a free one, even
//! its last owner, gets the next.

use uuid::Uuid;

use super::ScyllaStore;
use super::conditional::{ATTEMPTS, Outcome, conditional, pause};
use crate::rows::Lease;
use crate::{Result, Unavailable};

pub async fn take(store: &ScyllaStore, name: &str, owner: Uuid, now: i64, until: i64) -> Result<Option<Lease>> {
    let statements = store.statements().await?;
    let mut why: Option<Unavailable> = None;
    for attempt in 0..ATTEMPTS {
        let stands = match read(store, name).await {
            Ok(stands) => stands,
            Err(error) if why.is_none() => return Err(error),
            Err(error) => {
                why = Some(error);
                pause(attempt).await;
                continue;
            }
        };
        let fence = match stands {
            Some(row) if row.until > now && row.owner != owner => return Ok(None),
            // Our own: a renewal, or what an attempt of unknown outcome left. Either way the fence is right.
            Some(row) if row.until > now => row.fence,
            Some(row) => row.fence + 1,
            None => 1,
        };
        let outcome = match stands {
            None => conditional(store, &statements.insert_lease, (owner, until, fence, name)).await?,
            Some(row) => {
                let values = (owner, until, fence, name, row.owner, row.until, row.fence);
                conditional(store, &statements.update_lease, values).await?
            }
        };
        match outcome {
            Outcome::Applied => return Ok(Some(Lease { name: name.to_owned(), owner, fence })),
            // Somebody was faster; the next reading tells who.
            Outcome::Refused => {}
            Outcome::Unknown(error) => {
                why = Some(error);
                pause(attempt).await;
            }
        }
    }
    Err(why.unwrap_or_else(|| Unavailable::new("cql: too many workers want one lease")))
}

pub async fn release(store: &ScyllaStore, lease: &Lease) -> Result<()> {
    let statement = &store.statements().await?.release_lease;
    let mut why = None;
    for attempt in 0..ATTEMPTS {
        let values = (i64::MIN, lease.name.as_str(), lease.owner, lease.fence);
        match conditional(store, statement, values).await? {
            Outcome::Applied | Outcome::Refused => return Ok(()),
            Outcome::Unknown(error) => why = Some(error),
        }
        pause(attempt).await;
    }
    Err(why.unwrap_or_else(|| Unavailable::new("cql: a lease could not be released")))
}

#[derive(Clone, Copy)]
struct Stands {
    owner: Uuid,
    until: i64,
    fence: i64,
}

async fn read(store: &ScyllaStore, name: &str) -> Result<Option<Stands>> {
    let row: Option<(Uuid, i64, i64)> = store.first(&store.statements().await?.lease, (name,)).await?;
    Ok(row.map(|(owner, until, fence)| Stands { owner, until, fence }))
}
