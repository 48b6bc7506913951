//! Room for the bodies of calls. What a call holds is counted as it comes in, so that a few who announce much, or send slowly, neither fill the
//! memory nor keep the others out.

use std::sync::Arc;

use axum::body::Body;
use futures::StreamExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Bytes of bodies held at once, over all calls.
pub(crate) struct Room {
    bytes: Arc<Semaphore>,
    share: usize,
}

/// What callers of one kind may take of the room, and no more: a provider, or all who upload.
pub(crate) struct Share {
    own: Semaphore,
    room: Arc<Semaphore>,
}

/// Room that is taken until it is dropped.
pub(crate) struct Taken<'s> {
    own: SemaphorePermit<'s>,
    room: SemaphorePermit<'s>,
}

/// A body, and the room it takes until it is dropped.
pub(crate) struct Held<'s> {
    pub bytes: Vec<u8>,
    _taken: Taken<'s>,
}

/// Why a body is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// There is no room for it now.
    Full,
    TooLarge,
    CutOff,
}

impl Room {
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(bytes)), share: share(bytes) }
    }

    pub fn share(&self) -> Share {
        Share { own: Semaphore::new(self.share), room: self.bytes.clone() }
    }
}

/// Of a room of this many bytes: half, so that whoever fills what is theirs leaves as much to all others.
pub(crate) fn share(room: usize) -> usize {
    room / 2
}

impl Share {
    /// Room for this many bytes; `None` where there is none now.
    pub fn take(&self, bytes: usize) -> Option<Taken<'_>> {
        let bytes = u32::try_from(bytes).ok()?;
        Some(Taken { own: self.own.try_acquire_many(bytes).ok()?, room: self.room.try_acquire_many(bytes).ok()? })
    }

    /// Reads a body. The limit is on what is read, so one that lies about its length is stopped as well.
    pub async fn read(&self, body: Body, limit: usize) -> Result<Held<'_>, Unread> {
        let mut taken = self.take(0).ok_or(Unread::Full)?;
        let (mut bytes, mut chunks) = (Vec::new(), body.into_data_stream());
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Unread::CutOff)?;
            if bytes.len() + chunk.len() > limit {
                return Err(Unread::TooLarge);
            }
            taken.merge(self.take(chunk.len()).ok_or(Unread::Full)?);
            bytes.extend_from_slice(&chunk);
        }
        Ok(Held { bytes, _taken: taken })
    }
}

impl<'s> Taken<'s> {
    fn merge(&mut self, other: Self) {
        self.own.merge(other.own);
        self.room.merge(other.room);
    }

    /// Keeps room for this many bytes and gives the rest back.
    pub fn shrink(&mut self, bytes: usize) {
        drop((
            self.own.split(self.own.num_permits().saturating_sub(bytes)),
            self.room.split(self.room.num_permits().saturating_sub(bytes)),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(bytes: usize) -> Body {
        Body::from(vec![b' '; bytes])
    }

    #[tokio::test]
    async fn bodies_share_the_room_and_give_it_back() {
        let share = Room::new(200).share();
        let first = share.read(body(60), 80).await.expect("there is room");
        assert_eq!(first.bytes.len(), 60);
        assert_eq!(share.read(body(60), 80).await.err(), Some(Unread::Full));
        assert!(share.read(body(40), 80).await.is_ok());
        drop(first);
        assert!(share.read(body(60), 80).await.is_ok());
    }

    #[tokio::test]
    async fn who_fills_a_share_leaves_room_to_others_and_all_together_take_no_more_than_the_room() {
        let room = Room::new(200);
        let (one, two, three) = (room.share(), room.share(), room.share());
        let _first = one.read(body(100), 100).await.expect("there is room");
        assert_eq!(one.read(body(1), 100).await.err(), Some(Unread::Full));
        let mut second = two.take(100).expect("its share is its own");
        assert!(three.take(1).is_none(), "the room is full");
        assert!(three.take(0).is_some());
        second.shrink(60);
        assert!(two.take(41).is_none());
        assert!(three.take(41).is_none());
        assert!(three.take(40).is_some());
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_told_from_one_that_ends_early() {
        let share = Room::new(200).share();
        assert_eq!(share.read(body(81), 80).await.err(), Some(Unread::TooLarge));
        let broken = futures::stream::iter([Ok(vec![b' '; 10]), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]);
        assert_eq!(share.read(Body::from_stream(broken), 80).await.err(), Some(Unread::CutOff));
        assert!(share.take(100).is_some(), "what was refused holds nothing");
    }
}
